//! A small convolutional network, run in this process.
//!
//! The rows of a token are added up; each layer adds to a token what it makes of its neighbours; at
//! the end every tag has a score. `training/train.py` trains it, and `data/*.safetensors` holds it in
//! the form of the `safetensors` library: the table in eighths of a bit of precision (steps of 1/64),
//! everything else in 32-bit floats.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatch is compiled without the wide instructions"
)]

use pulp::{Simd, WithSimd};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Tag;
use super::feature::{Features, ROWS};
use super::layer::{Layer, PANEL, Rows};

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
    /// For each of the `width` numbers of a token what it says for each tag.
    out: Vec<Scores>,
    out_bias: Scores,
    /// How many tokens on each side count.
    reach: usize,
    /// How far from a token a single layer looks at the most.
    farthest: usize,
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
        if table.dtype() != Dtype::I8 || rows != ROWS as usize || width == 0 || width % PANEL != 0 {
            return Err(Broken);
        }
        let mut layers = Vec::new();
        let (mut reach, mut farthest) = (0, 0);
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
                list.push((place * dilation, matrix));
            }
            let far = half.unsigned_abs() * dilation.unsigned_abs();
            reach += far;
            farthest = farthest.max(far);
            let bias = vector(&file, &format!("layer.{i}.bias"), width)?;
            layers.push(Layer::new(&list, &bias));
        }
        let out = file.tensor("out.weight").map_err(|_| Broken)?;
        if *out.shape() != [width, Tag::ALL.len()] {
            return Err(Broken);
        }
        let out = floats(&out)?.chunks_exact(Tag::ALL.len()).map(scores).collect::<Option<_>>();
        let out_bias = scores(&vector(&file, "out.bias", Tag::ALL.len())?);
        Ok(Self {
            table: table.data(),
            step: scale.recip(),
            width,
            layers,
            out: out.ok_or(Broken)?,
            out_bias: out_bias.ok_or(Broken)?,
            reach,
            farthest,
        })
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
        let mut y = Rows::zeros(self.width, self.farthest, last - first);
        for layer in &self.layers {
            layer.run(&x, &mut y);
            std::mem::swap(&mut x, &mut y);
        }
        let (skip, take) = (from - first, to - from);
        pulp::Arch::new().dispatch(Scored { network: self, rows: &x, skip, take, into });
    }

    /// The sum of the rows of each token.
    fn sums(&self, features: &Features, first: usize, last: usize) -> Rows {
        let mut x = Rows::zeros(self.width, self.farthest, last - first);
        pulp::Arch::new().dispatch(Sums { network: self, features, first, to: &mut x });
        x
    }
}

struct Sums<'a> {
    network: &'a Network,
    features: &'a Features,
    first: usize,
    to: &'a mut Rows,
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Network { table, step, width, .. } = self.network;
        for (i, out) in (self.first..).zip(self.to.iter_mut()) {
            let rows = self.features.of(i);
            for (panel, out) in out.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
                let mut sum = [0_i16; PANEL];
                for row in rows {
                    let start = usize::from(*row) * width + panel * PANEL;
                    let values = table.get(start..).and_then(<[_]>::first_chunk::<PANEL>);
                    let Some(values) = values else { continue };
                    // A token has fewer than 250 rows of at most 127 each: no sum overflows.
                    for (s, v) in sum.iter_mut().zip(values) {
                        *s = s.wrapping_add(i16::from(v.cast_signed()));
                    }
                }
                for (o, s) in out.iter_mut().zip(sum) {
                    *o = f32::from(s) * step;
                }
            }
        }
    }
}

/// What each token's numbers say for each tag, before they are probabilities.
struct Scored<'a> {
    network: &'a Network,
    rows: &'a Rows,
    /// Tokens before the first that is asked about, and how many are.
    skip: usize,
    take: usize,
    into: &'a mut Vec<Scores>,
}

impl WithSimd for Scored<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Network { out, out_bias, .. } = self.network;
        let first = self.into.len();
        self.into.resize(first + self.take, *out_bias);
        let rows = self.rows.iter().skip(self.skip);
        for (scores, row) in self.into.iter_mut().skip(first).zip(rows) {
            let mut sums = *scores;
            for (x, weights) in row.iter().zip(out) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += x * weight;
                }
            }
            *scores = softmax(sums);
        }
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

fn vector(file: &SafeTensors<'_>, name: &str, length: usize) -> Result<Vec<f32>, Broken> {
    let values = floats(&file.tensor(name).map_err(|_| Broken)?)?;
    if values.len() == length { Ok(values) } else { Err(Broken) }
}

fn scores(values: &[f32]) -> Option<Scores> {
    values.try_into().ok()
}

#[inline(always)]
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
