//! One suite for both twins, and what can happen to RabbitMQ alone.

mod faults;
mod kit;
mod local;
mod misuse;
mod rabbit;
mod restarts;
mod suite;
