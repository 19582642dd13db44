"""The sources of variables keep their promises, and the suite finds those that do not."""

import threading

import pytest

from aether.adapters.variables import EnvVars, StaticVars, SystemVars
from aether.testing import VarsSourceContract, rejects

MAPPING = {"region": "eu", "zones": ["a", "b"], "limits": {"cpu": 2}, "none": None}


class TestSystemVars(VarsSourceContract):
    def make(self):
        return SystemVars()


class TestEnvVars(VarsSourceContract):
    def make(self):
        return EnvVars("env", "APP_", {"APP_REGION": "eu", "HOME": "/"})


class TestStaticVars(VarsSourceContract):
    def make(self):
        return StaticVars("site", MAPPING)


class PlainVars:
    namespace = "site"

    def variables(self):
        return {"region": "eu", "zones": ["a"]}


class ReservedVars(PlainVars):
    namespace = "tasks"


class DottedVars(PlainVars):
    namespace = "site.eu"


class WanderingVars(PlainVars):
    number = 0

    @property
    def namespace(self):
        self.number += 1
        return f"site-{self.number}"


class PrefixedVars(PlainVars):
    def variables(self):
        return {"site.region": "eu"}


class ObjectVars(PlainVars):
    def variables(self):
        return {"lock": threading.Lock()}


class SharedVars(PlainVars):
    def __init__(self):
        self.kept = {"region": "eu"}

    def variables(self):
        return self.kept


class ShallowVars(PlainVars):
    def __init__(self):
        self.kept = {"zones": ["a"]}

    def variables(self):
        return dict(self.kept)


class AsyncVars(PlainVars):
    async def variables(self):
        return super().variables()


class SlowVars(PlainVars):
    def variables(self):
        threading.Event().wait(0.02)
        return super().variables()


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (ReservedVars, "test_the_namespace_is_a_name_that_is_not_reserved"),
        (DottedVars, "test_the_namespace_is_a_name_that_is_not_reserved"),
        (WanderingVars, "test_the_namespace_never_changes"),
        (PrefixedVars, "test_keys_are_texts_without_the_namespace"),
        (ObjectVars, "test_values_are_json_values"),
        (SharedVars, "test_the_mapping_is_fresh_to_its_depth"),
        (ShallowVars, "test_the_mapping_is_fresh_to_its_depth"),
        (AsyncVars, "test_it_answers_at_once"),
        (SlowVars, "test_it_answers_at_once"),
    ],
)
def test_the_suite_rejects(broken, by):
    rejects(VarsSourceContract, broken, by=by)
