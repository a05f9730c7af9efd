-- How busy a worker's network is while the worker has edits, by its last heartbeat: for operators. Null until it had any.
alter table workers add column network real;
