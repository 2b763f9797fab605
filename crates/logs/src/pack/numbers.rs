//! Rows of numbers, in as many bytes as the largest needs.
//!
//! A row is either the numbers less the smallest of them, or the steps between them, whichever takes fewer
//! bytes; all first bytes come first, then all second ones, so that bytes that are alike stand together.

use std::io;

use super::zip::{Unzip, Zip};
use crate::bytes::{Input, put_varint, unzigzag, zigzag};

/// The bit that marks steps, beside the number of bytes.
const STEPS: u8 = 0x10;
/// The most bytes of a number.
const MAX_WIDTH: usize = size_of::<u64>();

/// Adds a row of numbers.
pub(crate) fn put(out: &mut Vec<u8>, numbers: &[u64], zip: &mut Zip) -> io::Result<()> {
    let first = numbers.first().copied().unwrap_or_default();
    let (least, most) = numbers
        .iter()
        .fold((first, first), |(least, most), number| {
            (least.min(*number), most.max(*number))
        });
    let steps = numbers
        .windows(2)
        .map(|pair| zigzag(pair[1].wrapping_sub(pair[0]).cast_signed()));
    let longest_step = steps.clone().max().unwrap_or_default();
    let (width, steps_width) = (width_of(most - least), width_of(longest_step));
    if steps_width < width {
        out.push(steps_width as u8 | STEPS);
        put_varint(out, first);
        return put_planes(out, steps, steps_width, zip);
    }
    out.push(width as u8);
    put_varint(out, least);
    put_planes(out, numbers.iter().map(|number| number - least), width, zip)
}

fn width_of(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()).div_ceil(8) as usize
}

fn put_planes(
    out: &mut Vec<u8>,
    numbers: impl Iterator<Item = u64> + Clone,
    width: usize,
    zip: &mut Zip,
) -> io::Result<()> {
    for plane in 0..width {
        let bytes: Vec<u8> = numbers
            .clone()
            .map(|number| (number >> (plane * 8)) as u8)
            .collect();
        zip.put_plane(out, &bytes)?;
    }
    Ok(())
}

/// Reads a row of this many numbers.
pub(crate) fn take(input: &mut Input<'_>, count: usize, unzip: &mut Unzip) -> Option<Vec<u64>> {
    let [kind] = input.array()?;
    let is_steps = kind & STEPS != 0;
    let width = usize::from(kind & !STEPS);
    let base = input.varint()?;
    if width > MAX_WIDTH {
        return None;
    }
    if !is_steps {
        let mut numbers = vec![base; count];
        add_planes(input, &mut numbers, width, unzip)?;
        return Some(numbers);
    }
    let mut numbers = vec![0; count];
    let (first, steps) = numbers.split_first_mut()?;
    add_planes(input, steps, width, unzip)?;
    *first = base;
    let mut last = base;
    for step in steps {
        last = last.wrapping_add(unzigzag(*step).cast_unsigned());
        *step = last;
    }
    Some(numbers)
}

fn add_planes(
    input: &mut Input<'_>,
    numbers: &mut [u64],
    width: usize,
    unzip: &mut Unzip,
) -> Option<()> {
    for plane in 0..width {
        let bytes = unzip.take(input, numbers.len())?;
        for (number, byte) in numbers.iter_mut().zip(bytes.iter()) {
            *number = number.wrapping_add(u64::from(*byte) << (plane * 8));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(numbers: &[u64]) -> usize {
        let mut out = Vec::new();
        put(&mut out, numbers, &mut Zip::default()).expect("packed");
        let mut input = Input(&out);
        let back = take(&mut input, numbers.len(), &mut Unzip::default());
        assert_eq!(back.as_deref(), Some(numbers));
        assert!(input.0.is_empty());
        out.len()
    }

    #[test]
    fn equal_numbers_and_even_steps_take_next_to_nothing() {
        assert!(check(&[7; 1000]) < 10);
        let counted: Vec<u64> = (0..1000).map(|n| u64::MAX - n * 3).collect();
        assert!(check(&counted) < 60);
        check(&[]);
    }

    proptest! {
        #[test]
        fn numbers_come_back(
            numbers in proptest::collection::vec(any::<u64>(), 0..80),
            shift in 0..64_u32,
        ) {
            let numbers: Vec<_> = numbers.iter().map(|number| number >> shift).collect();
            check(&numbers);
        }
    }
}
