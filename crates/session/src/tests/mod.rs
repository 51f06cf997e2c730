mod approvals;
mod calls;
mod lifecycle;
mod limits;
mod opening;
mod properties;
mod world;
