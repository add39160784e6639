//! A small convolutional network, run in this process.
//!
//! The rows of a token are added up; each layer adds to a token what it makes of its neighbours; at
//! the end every tag has a score. `training/train.py` trains it, and `data/*.safetensors` holds it in
//! the form of the `safetensors` library: the table in eighths of a bit of precision (steps of 1/64),
//! everything else in 32-bit floats.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Tag;
use super::feature::{Features, ROWS};

/// Probabilities of the tags of one token, in the order of [`Tag::ALL`].
pub(crate) type Scores = [f32; Tag::ALL.len()];

/// Tokens in one run, so that what is computed stays in the processor's cache.
const RUN_TOKENS: usize = 1024;

/// The data is not a network of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file of the tagger's network is broken")]
pub(crate) struct Broken;

/// A trained network.
#[derive(Debug)]
pub(crate) struct Network {
    table: &'static [u8],
    /// One step of the table.
    step: f32,
    width: usize,
    layers: Vec<Layer>,
    out: Array2<f32>,
    out_bias: Array1<f32>,
    /// How many tokens on each side count.
    reach: usize,
}

#[derive(Debug)]
struct Layer {
    /// One matrix `[in][out]` for each tap, and how far from the token the tap lies.
    taps: Vec<(isize, Array2<f32>)>,
    bias: Array1<f32>,
}

impl Network {
    /// Opens a network; only the layers are copied.
    ///
    /// # Errors
    /// [`Broken`] when the bytes are not a network for this table of features.
    pub(crate) fn open(bytes: &'static [u8]) -> Result<Self, Broken> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|_| Broken)?;
        let file = SafeTensors::deserialize(bytes).map_err(|_| Broken)?;
        let notes = metadata.metadata().as_ref().ok_or(Broken)?;
        let note = |key: &str| notes.get(key).map(String::as_str).ok_or(Broken);
        let scale: f32 = note("scale")?.parse().map_err(|_| Broken)?;
        let table = file.tensor("table").map_err(|_| Broken)?;
        let [rows, width] = *table.shape() else { return Err(Broken) };
        if table.dtype() != Dtype::I8 || rows != ROWS as usize || width == 0 {
            return Err(Broken);
        }
        let mut layers = Vec::new();
        let mut reach = 0;
        for (i, dilation) in note("dilations")?.split(',').enumerate() {
            let dilation: isize = dilation.parse().map_err(|_| Broken)?;
            let weight = file.tensor(&format!("layer.{i}.weight")).map_err(|_| Broken)?;
            let [taps, from, to] = *weight.shape() else { return Err(Broken) };
            if from != width || to != width || taps % 2 == 0 {
                return Err(Broken);
            }
            let values = floats(&weight)?;
            let half = isize::try_from(taps / 2).map_err(|_| Broken)?;
            let mut list = Vec::with_capacity(taps);
            for (tap, matrix) in values.chunks_exact(from * to).enumerate() {
                let place = isize::try_from(tap).map_err(|_| Broken)? - half;
                let matrix =
                    Array2::from_shape_vec((from, to), matrix.to_vec()).map_err(|_| Broken)?;
                list.push((place * dilation, matrix));
            }
            reach += half.unsigned_abs() * dilation.unsigned_abs();
            let bias = vector(&file, &format!("layer.{i}.bias"), width)?;
            layers.push(Layer { taps: list, bias });
        }
        let out = file.tensor("out.weight").map_err(|_| Broken)?;
        if *out.shape() != [width, Tag::ALL.len()] {
            return Err(Broken);
        }
        let out =
            Array2::from_shape_vec((width, Tag::ALL.len()), floats(&out)?).map_err(|_| Broken)?;
        let out_bias = vector(&file, "out.bias", Tag::ALL.len())?;
        Ok(Self { table: table.data(), step: scale.recip(), width, layers, out, out_bias, reach })
    }

    /// What the tokens `from..to` are, judged by all that lies within reach of them.
    pub(crate) fn tag(&self, features: &Features, from: usize, to: usize, into: &mut Vec<Scores>) {
        let mut at = from;
        while at < to {
            let end = to.min(at + RUN_TOKENS);
            self.run(features, at, end, into);
            at = end;
        }
    }

    fn run(&self, features: &Features, from: usize, to: usize, into: &mut Vec<Scores>) {
        let first = from.saturating_sub(self.reach);
        let last = features.len().min(to + self.reach);
        let mut x = self.sums(features, first, last);
        let mut y = Array2::zeros(x.raw_dim());
        for layer in &self.layers {
            layer.add(&mut x, &mut y);
        }
        let inner = x.slice_axis(Axis(0), Slice::from(from - first..to - first));
        let mut scores = inner.dot(&self.out);
        scores += &self.out_bias;
        into.extend(scores.axis_iter(Axis(0)).map(|row| {
            let mut out = Scores::default();
            for (to, from) in out.iter_mut().zip(row) {
                *to = *from;
            }
            softmax(out)
        }));
    }

    /// The sum of the rows of each token.
    fn sums(&self, features: &Features, first: usize, last: usize) -> Array2<f32> {
        let mut x = Array2::zeros((last - first, self.width));
        let mut sum = vec![0_i16; self.width];
        for (mut out, i) in x.axis_iter_mut(Axis(0)).zip(first..last) {
            sum.fill(0);
            for row in features.of(i) {
                let start = usize::from(*row) * self.width;
                let Some(values) = self.table.get(start..start + self.width) else { continue };
                // A token has fewer than 250 rows of at most 127 each: no sum overflows.
                for (s, v) in sum.iter_mut().zip(values) {
                    *s = s.wrapping_add(i16::from(v.cast_signed()));
                }
            }
            for (o, s) in out.iter_mut().zip(&sum) {
                *o = f32::from(*s) * self.step;
            }
        }
        x
    }
}

impl Layer {
    /// Adds to each token what the layer makes of its neighbours; beyond the ends there is nothing.
    fn add(&self, x: &mut Array2<f32>, y: &mut Array2<f32>) {
        let tokens = x.nrows();
        for mut row in y.axis_iter_mut(Axis(0)) {
            row.assign(&self.bias);
        }
        for (offset, weight) in &self.taps {
            let by = offset.unsigned_abs();
            if by >= tokens {
                continue;
            }
            let (from, to) = if *offset < 0 { (0, by) } else { (by, 0) };
            let source: ArrayView2<'_, f32> =
                x.slice_axis(Axis(0), Slice::from(from..from + tokens - by));
            let mut target = y.slice_axis_mut(Axis(0), Slice::from(to..to + tokens - by));
            general_mat_mul(1.0, &source, weight, 1.0, &mut target);
        }
        x.zip_mut_with(y, |x, y| *x += y.max(0.0));
    }
}

fn floats(tensor: &TensorView<'_>) -> Result<Vec<f32>, Broken> {
    if tensor.dtype() != Dtype::F32 {
        return Err(Broken);
    }
    Ok(tensor
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([0, 1, 2, 3].map(|k| b.get(k).copied().unwrap_or(0))))
        .collect())
}

fn vector(file: &SafeTensors<'_>, name: &str, length: usize) -> Result<Array1<f32>, Broken> {
    let values = floats(&file.tensor(name).map_err(|_| Broken)?)?;
    if values.len() == length { Ok(Array1::from_vec(values)) } else { Err(Broken) }
}

fn softmax(mut scores: Scores) -> Scores {
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for s in &mut scores {
        *s = (*s - top).exp();
        sum += *s;
    }
    for s in &mut scores {
        *s /= sum;
    }
    scores
}
