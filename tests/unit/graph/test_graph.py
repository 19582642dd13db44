"""Documents built in Python are documents like any other."""

import pytest

from aether import Aether, graph
from aether.document import load
from aether.errors import Refused
from aether.expr import CelEvaluator
from aether.validate import Known, check


def checked(workflow):
    source = load(workflow.to_yaml())
    found = check(source, evaluator=CelEvaluator(), known=Known(), lenient=False)
    return found.document


async def run(workflow, **arguments):
    async with Aether("memory:") as app:
        execution = await app.submit_and_wait(workflow.document(), arguments or None, timeout=10)
    assert execution.status == "Succeeded", execution.message
    return execution.output_values


async def test_values_flow_from_node_to_node():
    wf = graph.Workflow("greeting")
    name = wf.argument("name", str, "World")
    greet = wf.task("greet", "echo", {"text": f"Hello, {name}!"})
    loud = wf.task(
        "loud", "echo", {"text": greet.outputs["text"], "size": greet.outputs["text"].size()}
    )
    wf.output("text", loud.outputs["text"])
    wf.output("size", loud.outputs["size"])
    assert await run(wf, name="Ada") == {"text": "Hello, Ada!", "size": 11}


def test_dependencies_follow_from_what_a_node_reads():
    wf = graph.Workflow("deps")
    a = wf.task("a", "echo", {"n": 1})
    wf.task("b", "echo", {"n": a.outputs["n"]})
    wf.task("c", "echo", {"n": f"n is {a.outputs['n']}"})
    wf.task("d", "echo", when=a.outputs["n"] == 1)
    wf.task("e", "echo", {"deep": [{"n": a.outputs["n"] + 1}] and a.outputs["n"] + 1})
    wf.task("f", "echo", after=[a])
    wf.task("g", "echo", {"text": "tasks.a.outputs is only text here"})
    nodes = {n.name: n.dependencies for n in checked(wf).spec.templates[0].dag.tasks}
    assert all(nodes[name] == ("a",) for name in "bcdef")
    assert nodes["g"] == ()


async def test_condition_written_with_operators_decides_what_runs():
    wf = graph.Workflow("choice")
    n = wf.argument("n", int, 5)
    big = wf.task("big", "echo", {"said": "big"}, when=(n > 3) & ~(n == 7))
    small = wf.task("small", "echo", {"said": "small"}, when=(n <= 3) | (n == 7))
    wf.output("big", big.outputs["said"])
    wf.output("small", small.outputs["said"])
    assert await run(wf) == {"big": "big"}
    assert await run(wf, n=7) == {"small": "small"}


async def test_loop_runs_its_body_for_each_item_of_a_value():
    wf = graph.Workflow("each")
    names = wf.task("names", "echo", {"all": ["a", "b", "c"]})
    say = wf.body("say", "echo", {"word": str})
    loop = wf.loop("words", say, items=names.outputs["all"], arguments={"word": graph.item})
    wf.output("words", loop.outputs["word"])
    assert await run(wf) == {"words": ["a", "b", "c"]}


async def test_dag_of_its_own_is_called_with_inputs():
    wf = graph.Workflow("nested")
    with wf.dag("twice", inputs={"n": int}) as twice:
        doubled = twice.task("double", "echo", {"n": twice.inputs["n"] * 2})
        twice.output("n", doubled.outputs["n"])
    first = wf.task("first", call=twice, inputs={"n": 4})
    second = wf.task("second", call=twice, inputs={"n": first.outputs["n"]})
    wf.output("n", second.outputs["n"])
    assert await run(wf) == {"n": 16}


def test_policies_secrets_and_hooks_are_written_as_the_protocol_has_them():
    wf = graph.Workflow("policies", timeout="1h", hooks={"on_exit": graph.Body("tell")})
    wf.body("tell", "echo")
    wf.task(
        "call",
        "http",
        {"url": "https://localhost", "token": graph.secret("api", "token")},
        retry=graph.Retry(limit=3, backoff=graph.Backoff(initial="2s")),
        timeout="30s",
        continue_on=["failed"],
    )
    tree = wf.to_dict()
    task = tree["spec"]["templates"][0]["dag"]["tasks"][0]
    assert task["retry"] == {"limit": 3, "backoff": {"initial": "2s"}}
    assert task["continueOn"] == {"failed": True}
    assert task["inputs"]["parameters"][1]["valueFrom"]["secretKeyRef"] == {
        "name": "api",
        "key": "token",
    }
    assert tree["spec"]["hooks"] == {"onExit": {"template": "tell"}}


def test_the_same_nodes_become_a_cron_and_a_template():
    wf = graph.Workflow("nightly", version="2")
    wf.task("only", "echo")
    assert wf.cron("0 3 * * *", timezone="Europe/Berlin").spec.timezone == "Europe/Berlin"
    assert wf.template().metadata.version == "2"


def test_json_and_yaml_say_the_same():
    wf = graph.Workflow("same")
    wf.task("only", "echo", {"n": 1})
    assert load(wf.to_json()).data == load(wf.to_yaml()).data == wf.to_dict()


@pytest.mark.parametrize(
    "build",
    [
        lambda wf: wf.task("a"),
        lambda wf: wf.task("a", "echo", call=graph.Body("b")),
        lambda wf: (wf.task("a", "echo"), wf.task("a", "echo")),
        lambda wf: wf.task("a", "echo", {"n": graph.Node("later").outputs["n"]}),
        lambda wf: wf.argument("a", complex),
        lambda wf: graph.Workflow("x", hooks={"on_lunch": graph.Body("b")}),
    ],
)
def test_what_makes_no_document_is_refused_where_it_is_written(build):
    with pytest.raises(Refused) as caught:
        build(graph.Workflow("bad"))
    assert caught.value.code == "graph"


def test_truth_of_a_value_that_is_not_known_yet_is_refused_with_the_operators_to_use():
    wf = graph.Workflow("bad")
    n = wf.argument("n", int)
    with pytest.raises(TypeError, match="& \\| ~"):
        bool(n == 1)
