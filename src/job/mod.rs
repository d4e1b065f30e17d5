//! Jobs as a user runs them: from a script or a jar to RUNNING with everything checked before anything is created, and what is
//! done with them afterwards. Each change ends with its post-condition, seen at the operator and at Flink.

mod anew;
mod application;
mod artifact;
mod change;
mod check;
mod code;
mod connectors;
pub mod logs;
mod managed;
mod modules;
mod name;
mod remove;
mod report;
mod room;
mod run;
mod savepoint;
mod script;
mod session;
mod stage;
mod state;
mod submit;
mod tables;
#[cfg(test)]
mod tests;
mod trouble;
mod ui;
mod upgrade;
mod vars;
pub mod verify;

pub use application::Extras;
pub use artifact::{Depot, put as put_jar};
pub use change::{Changed, cluster_ready};
pub use code::{Code, JarCode, PythonCode};
pub use managed::{Kind, Managed};
pub use name::job_name;
pub use report::{Report, Row, Verdict, report, rows};
pub use run::{Cluster, Place, Started, Wanted, Workshop, run};
pub use script::Script;
pub use session::{has_python, object as session_object};
pub use stage::Stage;
pub use state::Kept;
pub use ui::{Shown, Ui};
pub use upgrade::{Upgrade, Upgraded, upgrade};
pub use vars::{fill, mask, unused};
