//! The dry run.
use crate::cli::Request;
use crate::error::Error;
use crate::process::environ::Environ;
/// x
pub fn run(_request: Request, _json: bool, _environ: Environ) -> Result<u8, Error> {
    Ok(0)
}
