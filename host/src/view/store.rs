//! x
use super::world::{Rows, World};
/// x
pub struct Store;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Error;
impl Store {
    /// x
    pub fn open(_p: &std::path::Path) -> Result<(Self, World, u64), Error> {
        Ok((Store, World::default(), 0))
    }
    /// x
    pub fn write(&mut self, _r: Rows, _n: u64) -> Result<(), Error> {
        Ok(())
    }
}
