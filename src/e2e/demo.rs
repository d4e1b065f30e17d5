//! The example that `dev demo` runs, embedded so that it works from any directory.

use std::path::Path;

use crate::config::Case;
use crate::diag::Result;

/// The case of `examples/orders`, as it is in the repository.
///
/// # Errors
/// Whatever is wrong with the example itself, which a test rules out.
pub fn demo_case() -> Result<Case> {
    let case = include_str!("../../examples/orders/orders.test.yaml");
    let script = include_str!("../../examples/orders/orders.sql");
    Case::parse(
        Path::new("examples/orders/orders.test.yaml"),
        case,
        &[("orders.sql", script)],
    )
}

#[cfg(test)]
mod tests {
    use super::super::substitute::substitute;
    use crate::config::Addresses;

    #[test]
    fn the_example_is_a_valid_case() {
        let case = super::demo_case().unwrap();
        assert_eq!((case.given.len(), case.expect.len()), (1, 2));
        assert_eq!(case.program.file().to_str(), Some("examples/orders/orders.sql"));
        let kafka = Addresses {
            kafka: Some("kafka:9092"),
            registry: None,
        };
        let script = substitute(&case, kafka, str::to_owned).unwrap().text;
        assert_eq!(script.matches("INSERT INTO").count(), 2);
        assert!(!script.contains("${"));
    }
}
