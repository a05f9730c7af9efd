//! The arguments of the fleet's commands.

mod batch;
mod company;
mod coordinate;
#[cfg(feature = "embedded")]
mod dev;
mod doctor;
mod drain;
mod fairness;
#[cfg(feature = "embedded")]
mod flags_only;
mod keys;
mod migrate;
mod queue;
mod region;
mod segments;
mod serve;
mod services;
mod session;
mod submit;
mod tables;
mod telemetry;
mod tenants;
mod work;

pub(crate) use batch::{
    Batch, BatchArgs, BatchOneArgs, BatchResultsArgs, BatchSheetArgs, BatchSubmitArgs,
};
pub(crate) use company::CompanyArgs;
pub(crate) use coordinate::{CoordinateArgs, RetentionArgs};
#[cfg(feature = "embedded")]
pub(crate) use dev::DevArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use drain::DrainArgs;
pub(crate) use fairness::FairnessArgs;
#[cfg(feature = "embedded")]
pub(crate) use flags_only::FlagsOnly;
pub(crate) use keys::{
    CreateArgs, Keys, KeysArgs, LimitsArgs, ListArgs, RevokeArgs, TenantLimitsArgs,
    WebhookSecretArgs,
};
pub(crate) use migrate::MigrateArgs;
pub(crate) use queue::QueueArgs;
pub(crate) use region::{Point, RegionArgs};
pub(crate) use segments::SegmentsArgs;
pub(crate) use serve::{ApiArgs, Downloads, ServeArgs};
pub(crate) use services::{DatabaseArgs, S3Args, ServicesArgs};
pub(crate) use session::{
    Session, SessionArgs, SessionBranchArgs, SessionEditArgs, SessionJumpArgs, SessionNewArgs,
    SessionOneArgs,
};
pub(crate) use submit::{GatewayArgs, RequestArgs, SubmitArgs};
pub(crate) use tables::TablesArgs;
pub(crate) use telemetry::{LogFormat, StatusArgs, TelemetryArgs};
pub(crate) use tenants::{
    Tenants, TenantsAllowArgs, TenantsArgs, TenantsEraseArgs, TenantsForbidArgs, TenantsListArgs,
    TenantsShowArgs,
};
pub(crate) use work::{EditorArg, EditorArgs, LeaseArgs, ServedArgs, WorkArgs};
