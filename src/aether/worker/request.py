"""An assignment as its executor sees it."""

from __future__ import annotations

from datetime import timedelta

from ..ports import Assignment, Request
from ..record import decode_json, decode_values


def request_of(assignment: Assignment) -> Request:
    """Everything in it is decoded anew, so it is the executor's own. Raises ValueError on bytes that
    are no encoded values."""
    request = Request(
        run_id=assignment.run_id,
        task_run_id=assignment.task_run_id,
        task_name=assignment.task_name,
        template_name=assignment.template_name,
        executor_type=assignment.executor_type,
        attempt=assignment.attempt,
        retry_count=assignment.retry_count,
        resumed=assignment.resumed,
        epoch=assignment.fence.epoch,
        delivery=assignment.fence.delivery,
        encoded=assignment.inputs,
        details=assignment.details,
    )
    if assignment.inputs:
        request.parameters = parameters = decode_values(assignment.inputs)
        request.inputs = {value.name: value.value for value in parameters}
    if assignment.timeout:
        request.timeout = timedelta(microseconds=assignment.timeout)
    if assignment.resources:
        request.resources = decode_json(assignment.resources)
    return request
