//! What applying takes of the heap is what the patch declares, in each class of
//! terminals and with each codec; what making takes is what there may be.

#[expect(unsafe_code, reason = "whoever counts what C libraries take has to be their malloc")]
mod counted;

#[cfg(test)]
mod tests;
