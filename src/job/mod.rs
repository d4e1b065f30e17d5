//! Jobs as a user runs them: from a script to RUNNING with everything checked before anything is created, and what is
//! done with them afterwards. Each change ends with its post-condition, seen at the operator and at Flink.

mod change;
mod fill;
pub mod logs;
mod managed;
mod report;
mod room;
mod run;
mod script;
mod session;
mod stage;
mod tables;
#[cfg(test)]
mod tests;
mod trouble;
mod ui;
pub mod verify;

pub use change::{Changed, cluster_ready};
pub use fill::{Filled, fill};
pub use managed::{Kind, Managed};
pub use report::{Report, Row, Verdict, report, rows};
pub use run::{Place, Started, Wanted, job_name, run};
pub use script::Script;
pub use stage::Stage;
pub use ui::{Shown, Ui};
