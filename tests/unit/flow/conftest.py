import pytest

from unit.flow.flow_world import World


@pytest.fixture
async def world():
    made = World()
    yield made
    for task in list(made.tasks):
        task.cancel()
    made.close()
