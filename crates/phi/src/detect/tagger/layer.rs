//! One layer of a network, computed with whatever wide instructions the processor has.
//!
//! Most of the time of a scan is spent here, so the sums stay in registers from the first tap to the
//! last: a library's matrix product for each tap writes and reads them again, and lays out matrices of
//! 32 columns anew each time, which costs as much as the product.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatch is compiled without the wide instructions"
)]

use pulp::{Simd, WithSimd};

/// Columns that are computed together: four vectors of eight numbers where the processor has AVX2.
pub(super) const PANEL: usize = 32;

/// Vectors of one token whose sums are kept in registers.
const VECTORS: usize = 4;

/// Tokens that are computed together. Their sums, an input of each and a vector of weights are the 16
/// registers of AVX2.
const TOGETHER: usize = 3;

/// What a network has made of each token so far, with rows of zeros before the first and after the
/// last, where a layer looks beyond the ends.
#[derive(Debug)]
pub(super) struct Rows {
    width: usize,
    /// Rows of zeros on each side.
    margin: usize,
    tokens: usize,
    values: Vec<f32>,
}

impl Rows {
    /// Zeros. `reach` is how far from a token a layer looks at the most.
    pub(super) fn zeros(width: usize, reach: usize, tokens: usize) -> Self {
        // The last tokens may be fewer than are computed together.
        let margin = reach + TOGETHER;
        Self { width, margin, tokens, values: vec![0.0; (tokens + 2 * margin) * width] }
    }

    /// The rows of the tokens, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width).skip(self.margin).take(self.tokens)
    }

    /// The same, to be written.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.width).skip(self.margin).take(self.tokens)
    }

    /// The row `offset` from a token's; no row lies further away than the margin.
    #[inline(always)]
    fn near(&self, token: usize, offset: isize) -> &[f32] {
        let at = (token + self.margin).saturating_add_signed(offset) * self.width;
        self.values.get(at..at + self.width).unwrap_or_default()
    }

    #[inline(always)]
    fn of_mut(&mut self, token: usize) -> &mut [f32] {
        let at = (token + self.margin) * self.width;
        self.values.get_mut(at..at + self.width).unwrap_or_default()
    }
}

/// A layer: adds to each token what it makes of its neighbours.
#[derive(Debug)]
pub(super) struct Layer {
    /// How far from the token each tap lies.
    taps: Vec<isize>,
    panels: Vec<Panel>,
}

/// [`PANEL`] columns of a layer.
#[derive(Debug)]
struct Panel {
    bias: Vec<f32>,
    /// For each tap its matrix `[in][PANEL]`.
    weights: Vec<Vec<f32>>,
}

impl Layer {
    /// `taps` are how far from the token each tap lies, and its matrix `[in][out]`; `out` is a multiple
    /// of [`PANEL`].
    pub(super) fn new(taps: &[(isize, &[f32])], bias: &[f32]) -> Self {
        let width = bias.len();
        let panels = bias.chunks_exact(PANEL).enumerate().map(|(i, bias)| {
            let columns = |matrix: &[f32]| {
                let mut panel = Vec::with_capacity(width * PANEL);
                for row in matrix.chunks_exact(width) {
                    panel.extend_from_slice(
                        row.get(i * PANEL..).unwrap_or_default().get(..PANEL).unwrap_or_default(),
                    );
                }
                panel
            };
            let weights = taps.iter().map(|(_, matrix)| columns(matrix)).collect();
            Panel { bias: bias.to_vec(), weights }
        });
        Self { taps: taps.iter().map(|(offset, _)| *offset).collect(), panels: panels.collect() }
    }

    /// Writes to `to` what it makes of `from`; both have the same form.
    pub(super) fn run(&self, from: &Rows, to: &mut Rows) {
        pulp::Arch::new().dispatch(Run { layer: self, from, to });
    }
}

struct Run<'a> {
    layer: &'a Layer,
    from: &'a Rows,
    to: &'a mut Rows,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, from, to } = self;
        for (i, panel) in layer.panels.iter().enumerate() {
            let columns = VECTORS * S::F32_LANES;
            for start in (0..PANEL).step_by(columns) {
                for token in (0..from.tokens).step_by(TOGETHER) {
                    let sums = panel.sums(simd, &layer.taps, from, token, start / S::F32_LANES);
                    let rows = token..from.tokens.min(token + TOGETHER);
                    for (k, token) in rows.enumerate() {
                        let first = i * PANEL + start;
                        let old = from.near(token, 0).get(first..first + columns);
                        let new = to.of_mut(token).get_mut(first..first + columns);
                        let (Some(old), Some(new)) = (old, new) else { continue };
                        let (old, _) = S::as_simd_f32s(old);
                        let (new, _) = S::as_mut_simd_f32s(new);
                        let zero = simd.splat_f32s(0.0);
                        for ((new, old), sums) in new.iter_mut().zip(old).zip(&sums) {
                            let sum = sums.get(k).copied().unwrap_or(zero);
                            *new = simd.add_f32s(*old, simd.max_f32s(sum, zero));
                        }
                    }
                }
            }
        }
    }
}

impl Panel {
    /// The sums of three tokens over all taps, in the four vectors from `start` on.
    #[inline(always)]
    fn sums<S: Simd>(
        &self,
        simd: S,
        taps: &[isize],
        from: &Rows,
        token: usize,
        start: usize,
    ) -> [[S::f32s; TOGETHER]; VECTORS] {
        let vectors = PANEL / S::F32_LANES;
        let (bias, _) = S::as_simd_f32s(&self.bias);
        let bias = bias.get(start..).and_then(<[_]>::first_chunk::<VECTORS>);
        let bias = bias.copied().unwrap_or([simd.splat_f32s(0.0); VECTORS]);
        let mut sums = bias.map(|bias| [bias; TOGETHER]);
        for (offset, weights) in taps.iter().zip(&self.weights) {
            let [a, b, c] = [0, 1, 2].map(|k| from.near(token + k, *offset));
            let (weights, _) = S::as_simd_f32s(weights);
            for (((weights, a), b), c) in weights.chunks_exact(vectors).zip(a).zip(b).zip(c) {
                let Some(weights) = weights.get(start..).and_then(<[_]>::first_chunk::<VECTORS>)
                else {
                    continue;
                };
                // One vector of weights at a time: four of them would push sums out of the registers.
                let inputs = [a, b, c].map(|x| simd.splat_f32s(*x));
                for (sums, weight) in sums.iter_mut().zip(weights) {
                    for (sum, x) in sums.iter_mut().zip(inputs) {
                        *sum = simd.mul_add_e_f32s(x, *weight, *sum);
                    }
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, one number after the other.
    fn plainly(taps: &[(isize, &[f32])], bias: &[f32], rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let of = |i: usize| {
            let mut sums = bias.to_vec();
            for (offset, matrix) in taps {
                let Some(near) = i.checked_add_signed(*offset).and_then(|at| rows.get(at)) else {
                    continue;
                };
                for (x, weights) in near.iter().zip(matrix.chunks_exact(bias.len())) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += x * weight;
                    }
                }
            }
            sums.iter().zip(&rows[i]).map(|(sum, old)| old + sum.max(0.0)).collect()
        };
        (0..rows.len()).map(of).collect()
    }

    #[test]
    fn a_layer_is_what_its_definition_says_for_every_number_of_tokens() {
        let mut state = 1_u32;
        let mut number = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.0 - 0.5
        };
        for width in [PANEL, 5 * PANEL] {
            let mut matrix = || (0..width * width).map(|_| number()).collect::<Vec<_>>();
            let matrices = [matrix(), matrix(), matrix()];
            let offsets = [-3, 0, 3];
            let taps: Vec<_> =
                offsets.into_iter().zip(matrices.iter().map(Vec::as_slice)).collect();
            let bias: Vec<f32> = (0..width).map(|_| number()).collect();
            let layer = Layer::new(&taps, &bias);
            for tokens in 0..9 {
                let rows: Vec<Vec<f32>> =
                    (0..tokens).map(|_| (0..width).map(|_| number()).collect()).collect();
                let mut from = Rows::zeros(width, 3, tokens);
                for (to, row) in from.iter_mut().zip(&rows) {
                    to.copy_from_slice(row);
                }
                let mut to = Rows::zeros(width, 3, tokens);
                layer.run(&from, &mut to);
                let expected = plainly(&taps, &bias, &rows);
                assert_eq!(to.iter().count(), tokens);
                for (row, expected) in to.iter().zip(&expected) {
                    for (a, b) in row.iter().zip(expected) {
                        assert!((a - b).abs() < 1e-3, "{a} in place of {b}");
                    }
                }
            }
        }
    }
}
