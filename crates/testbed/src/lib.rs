//! Real Postgres, RabbitMQ and S3 on free ports, for tests.
