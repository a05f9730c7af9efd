//! RabbitMQ topology and messages, and the in-process twin.
