//! The page of `limekiln dev` in a browser: what people do with it, by pointer and by keys.

mod access;
mod browser;
mod catalog;
mod server;
mod views;
mod work;
