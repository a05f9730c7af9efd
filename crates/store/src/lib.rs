//! Every SQL statement of Limekiln, and the embedded Postgres.
