//! What the gate promises, proved through its public interface.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod house;
#[cfg(test)]
mod minimum;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod records;
#[cfg(test)]
mod replays;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod treatments;
