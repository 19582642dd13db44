"""Stored templates: versions, references, and names as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether.adapters.store.memory import MemoryStore
from aether.document import (
    CronSpec,
    CronWorkflow,
    Dag,
    ExecutorRef,
    Loop,
    Metadata,
    Parameter,
    Task,
    Template,
    TemplateRef,
    Values,
    Workflow,
    WorkflowSpec,
    WorkflowTemplate,
)
from aether.engine import templates as module
from aether.engine.templates import Templates, parse_name_version
from aether.errors import NotFound, Refused, TokenMismatch
from aether.testing import FakeClock
from aether.validate import resolve


def spec(*refs, value="x"):
    """One task, and a node for each reference."""
    tasks = tuple(Task(name=f"n{i}", template_ref=ref) for i, ref in enumerate(refs))
    own = Task(name="own", executor=ExecutorRef(type="echo"), arguments=_argument(value))
    return WorkflowSpec(
        entrypoint="main", templates=(Template(dag=Dag(name="main", tasks=(own, *tasks))),)
    )


def _argument(value):
    return Values(parameters=(Parameter(name="p", value=value),))


def template(name="etl", version="", *refs, value="x"):
    metadata = Metadata(name=name, version=version)
    return WorkflowTemplate(metadata=metadata, spec=spec(*refs, value=value))


def ref(name, version=""):
    return TemplateRef(name=name, version=version)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def templates(clock):
    return Templates(MemoryStore(), clock)


async def test_version_is_the_documents_own(templates):
    assert await templates.put_template(template(version="1.4.0")) == ("etl", "1.4.0")
    assert (await templates.get_template("etl", "1.4.0")).metadata.version == "1.4.0"


async def test_document_without_a_version_gets_the_next_number(templates):
    versions = [(await templates.put_template(template(value=n)))[1] for n in range(3)]
    assert versions == ["1", "2", "3"]
    await templates.put_template(template(version="10"))
    await templates.put_template(template(version="2026-beta"))
    assert await templates.put_template(template()) == ("etl", "11")
    assert await templates.put_template(template("other")) == ("other", "1")
    assert (await templates.get_template("etl", "2")).metadata.version == "2"


async def test_same_content_may_be_stored_again(templates):
    await templates.put_template(template(version="1", value={"a": 1, "b": 2}))
    await templates.put_template(template(version="1", value={"b": 2, "a": 1}))
    assert len(await templates.list_templates()) == 1


async def test_other_content_under_a_stored_version_is_refused(templates):
    await templates.put_template(template(version="1"))
    with pytest.raises(Refused) as caught:
        await templates.put_template(template(version="1", value="other"))
    assert caught.value.code == "template-exists"
    assert await templates.get_template("etl", "1") == template(version="1")


@pytest.mark.parametrize("version", ["a@b", "a b", "x" * 65, "1\n", "é"])
async def test_version_that_could_not_be_written_is_refused(templates, version):
    with pytest.raises(Refused) as caught:
        await templates.put_template(template(version=version))
    assert caught.value.code == "bad-template-version"


async def test_latest_is_the_one_stored_last(templates, clock):
    for version in ("2", "1"):
        await templates.put_template(template(version=version))
        clock.jump(clock.now() + 1)
    assert (await templates.get_template("etl")).metadata.version == "1"


async def test_versions_are_listed_by_name_and_age(templates, clock):
    for name, version in (("b", "1"), ("a", "2"), ("a", "1")):
        await templates.put_template(template(name, version))
        clock.jump(clock.now() + 1)
    listed = [(row.name, row.version) for row in await templates.list_templates()]
    assert listed == [("a", "2"), ("a", "1"), ("b", "1")]
    assert [row.version for row in await templates.list_templates("b")] == ["1"]


async def test_what_is_not_stored_is_not_found_and_the_answer_helps(templates):
    await templates.put_template(template(version="1"))
    for call in (templates.get_template, templates.delete_template):
        with pytest.raises(NotFound) as caught:
            await call("etl", "2")
        assert caught.value.code == "template-not-found"
        assert "stored versions are 1" in caught.value.problems[0].fix
        with pytest.raises(NotFound):
            await call("nobody")


async def test_delete_takes_one_version_or_all(templates):
    for version in ("1", "2", "3"):
        await templates.put_template(template(version=version))
    assert await templates.delete_template("etl", "2") == 1
    assert [row.version for row in await templates.list_templates()] == ["1", "3"]
    assert await templates.delete_template("etl") == 2
    assert await templates.list_templates() == []


async def test_numbers_taken_by_others_meanwhile_are_stepped_over(clock):
    store = MemoryStore()
    here, there = Templates(store, clock), Templates(store, clock)
    look = store.templates

    async def then_other(name=""):
        rows = await look(name)
        store.templates = look
        await there.put_template(template(value="theirs"))
        return rows

    store.templates = then_other
    assert await here.put_template(template(value="ours")) == ("etl", "2")


async def test_store_in_which_every_number_is_taken_is_given_up(clock):
    store = MemoryStore()

    async def taken(row):
        raise TokenMismatch("taken")

    store.put_template = taken
    with pytest.raises(TokenMismatch, match="taken by others"):
        await Templates(store, clock).put_template(template())


# References


async def test_references_are_loaded_however_deep(templates):
    await templates.put_template(template("c", "1"))
    await templates.put_template(template("b", "1", ref("c")))
    await templates.put_template(template("a", "1", ref("b", "1")))
    found = await templates.load_references(Workflow(spec=spec(ref("a"))))
    assert set(found) == {("a", ""), ("a", "1"), ("b", "1"), ("c", ""), ("c", "1")}
    assert found["a", ""] is found["a", "1"]


async def test_every_place_that_can_refer_is_looked_at(templates):
    for name in ("whole", "node", "body"):
        await templates.put_template(template(name))
    whole = Workflow(spec=WorkflowSpec(workflow_template_ref=ref("whole")))
    assert ("whole", "1") in await templates.load_references(whole)
    loop = Template(loop=Loop(name="l", items=(1,), body_ref=ref("body")))
    both = WorkflowSpec(entrypoint="main", templates=(*spec(ref("node")).templates, loop))
    found = await templates.load_references(CronWorkflow(spec=CronSpec(workflow_spec=both)))
    assert {name for name, _ in found} == {"node", "body"}


async def test_reference_without_a_version_means_the_latest_and_stays_with_it(templates, clock):
    await templates.put_template(template("a", value="old"))
    document = Workflow(metadata=Metadata(name="w"), spec=spec(ref("a")))
    found = await templates.load_references(document)
    clock.jump(clock.now() + 1)
    await templates.put_template(template("a", value="new"))
    pinned = resolve(document, found)
    assert [t.body.name for t in pinned.spec.templates] == ["main", "a@1/main"]
    later = resolve(document, await templates.load_references(document))
    assert [t.body.name for t in later.spec.templates] == ["main", "a@2/main"]


async def test_what_is_not_stored_is_left_for_validation_to_report(templates):
    assert await templates.load_references(Workflow(spec=spec(ref("nobody", "7")))) == {}


async def test_templates_that_refer_to_each_other_are_loaded_once(templates):
    await templates.put_template(template("a", "1", ref("b", "1")))
    await templates.put_template(template("b", "1", ref("a", "1")))
    found = await templates.load_references(Workflow(spec=spec(ref("a", "1"))))
    assert set(found) == {("a", "1"), ("b", "1")}


async def test_hostile_number_of_references_is_refused(templates, monkeypatch):
    monkeypatch.setattr(module, "_MOST_REFERENCES", 3)
    with pytest.raises(Refused) as caught:
        await templates.load_references(Workflow(spec=spec(*(ref(f"t{n}") for n in range(5)))))
    assert caught.value.code == "too-many-references"


# Names as they are written


@pytest.mark.parametrize(
    ("text", "expected"), [("etl", ("etl", "")), ("etl@1.4.0", ("etl", "1.4.0"))]
)
def test_name_and_version_are_taken_apart(text, expected):
    assert parse_name_version(text) == expected


@pytest.mark.parametrize("text", ["", "@", "@1", "etl@", "etl@1@2", "etl @1", "etl@1 "])
def test_text_that_names_no_template_is_refused(text):
    with pytest.raises(Refused) as caught:
        parse_name_version(text)
    assert caught.value.code == "bad-template-name"


@given(st.text(max_size=20))
def test_any_text_names_a_template_or_is_refused(text):
    try:
        name, version = parse_name_version(text)
    except Refused:
        return
    assert text == (f"{name}@{version}" if version else name)
