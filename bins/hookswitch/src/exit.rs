//! How the process ends: one place that turns errors into documented codes.

use std::process::ExitCode;

use crate::config::BadConfig;
use crate::logging;

/// Bad configuration; `EX_CONFIG` of sysexits.
const CONFIG: u8 = 78;
const FAILED: u8 = 1;

/// The code of an ending; prints an error's whole chain, once.
pub(crate) fn code_of(ending: &anyhow::Result<()>) -> ExitCode {
    let Err(error) = ending else { return ExitCode::SUCCESS };
    logging::last_line(&format!("hookswitch: {error:#}"));
    ExitCode::from(if error.is::<BadConfig>() { CONFIG } else { FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_configuration_has_a_code_of_its_own() {
        let code = |ending: &anyhow::Result<()>| format!("{:?}", code_of(ending));
        assert_eq!(code(&Ok(())), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(code(&Err(anyhow::anyhow!("x"))), format!("{:?}", ExitCode::from(1)));
        assert_eq!(code(&Err(BadConfig::default().into())), format!("{:?}", ExitCode::from(78)));
    }
}
