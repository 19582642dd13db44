"""The helper that proves suites must itself be proved."""

import asyncio

import pytest

import aether.testing
from aether.testing import ContractSuite, accepts, failures, rejects
from aether.testing.suites import Rejection


class Box:
    def __init__(self) -> None:
        self.kept: list[int] = []
        self.closed = False

    async def put(self, value: int) -> None:
        self.kept.append(value)

    async def get(self) -> int:
        return self.kept[-1]


class BoxContract(ContractSuite):
    def make(self) -> Box:
        raise NotImplementedError

    async def test_what_was_put_comes_out(self) -> None:
        box = self.make()
        await box.put(3)
        assert await box.get() == 3

    def test_a_fresh_box_is_empty(self) -> None:
        assert self.make().kept == []

    async def test_raises_on_an_empty_box(self) -> None:
        with pytest.raises(IndexError):
            await self.make().get()


class TestBox(BoxContract):
    def make(self) -> Box:
        return Box()


class ForgetfulBox(Box):
    async def put(self, value: int) -> None:
        pass


class HangingBox(Box):
    async def get(self) -> int:
        await asyncio.Event().wait()
        return 0


class LeakyBox(Box):
    async def put(self, value: int) -> None:
        await super().put(value)
        self.task = asyncio.create_task(asyncio.Event().wait(), name="leak")


class ForgivingBox(Box):
    async def get(self) -> int:
        return self.kept[-1] if self.kept else 0


def test_a_suite_accepts_a_good_adapter():
    assert failures(BoxContract, Box) == {}
    accepts(BoxContract, Box)


def test_a_broken_adapter_is_rejected_by_the_test_that_names_its_fault():
    assert rejects(BoxContract, ForgetfulBox) == "test_what_was_put_comes_out"
    assert list(failures(BoxContract, ForgetfulBox)) == ["test_what_was_put_comes_out"]


def test_an_adapter_that_hangs_is_rejected_in_time():
    error = failures(BoxContract, HangingBox, seconds=0.05)["test_what_was_put_comes_out"]
    assert "hangs" in str(error)


def test_an_adapter_that_leaves_tasks_running_is_rejected():
    error = failures(BoxContract, LeakyBox)["test_what_was_put_comes_out"]
    assert "left tasks running: leak" in str(error)


def test_a_missing_exception_is_a_failure():
    rejects(BoxContract, ForgivingBox, by="test_raises_on_an_empty_box")


def test_rejecting_a_good_adapter_fails():
    with pytest.raises(AssertionError, match="accepts Box, which is broken"):
        rejects(BoxContract, Box)
    with pytest.raises(AssertionError, match="test_a_fresh_box_is_empty"):
        rejects(BoxContract, ForgetfulBox, by="test_a_fresh_box_is_empty")


def test_accepting_a_broken_adapter_raises_what_it_did_wrong():
    with pytest.raises(IndexError):
        accepts(BoxContract, ForgetfulBox)


def test_a_factory_that_fails_is_no_rejection():
    def factory() -> Box:
        raise TypeError("a typing mistake in the test")

    with pytest.raises(Rejection, match="typing mistake"):
        rejects(BoxContract, factory)


def test_naming_an_unknown_test_is_no_rejection():
    with pytest.raises(Rejection, match="has no test test_nothing; it has test_what"):
        rejects(BoxContract, ForgetfulBox, by="test_nothing")


class AsyncBoxContract(ContractSuite):
    async def make(self) -> Box:
        raise NotImplementedError

    async def test_deferred_calls_run_last_first_in_the_same_loop(self) -> None:
        box = await self.make()
        loop = asyncio.get_running_loop()
        order: list[str] = []

        async def last() -> None:
            assert asyncio.get_running_loop() is loop
            assert order == ["first"]
            box.closed = True

        self.defer(last)
        self.defer(lambda: order.append("first"))

    async def test_a_skip_is_no_failure(self) -> None:
        pytest.skip("this adapter cannot show it")

    async def test_each_test_has_a_folder_of_its_own(self) -> None:
        folder = self.folder()
        assert folder.is_dir()
        self.defer(lambda: (folder / "x").write_text("removed with the folder"))


def test_a_suite_with_an_async_make_takes_plain_and_async_factories():
    boxes: list[Box] = []

    async def factory() -> Box:
        boxes.append(Box())
        return boxes[-1]

    accepts(AsyncBoxContract, factory)
    accepts(AsyncBoxContract, Box)
    assert boxes[0].closed


def test_a_failing_cleanup_fails_the_test():
    class Careless(ContractSuite):
        def make(self) -> Box:
            return Box()

        def test_nothing_else(self) -> None:
            self.make()
            self.defer(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        accepts(Careless, Box)


def test_every_name_of_the_room_can_be_imported():
    for name in aether.testing.__all__:
        assert getattr(aether.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        aether.testing.Nothing
