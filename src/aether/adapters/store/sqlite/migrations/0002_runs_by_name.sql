-- A page of the runs of one workflow, without a look at the others.
CREATE INDEX run_by_name ON run (name, created_at, run_id);
