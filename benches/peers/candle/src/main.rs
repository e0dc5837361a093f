//! One training step of a MiniLM-shaped BERT classifier, composed of candle's operations, with dropout as in training.

use std::time::Instant;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{AdamW, Dropout, Embedding, Init, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap};

const LAYERS: usize = 6;
const HIDDEN: usize = 384;
const HEADS: usize = 12;
const MIDDLE: usize = 1536;
const BATCH: usize = 32;
const TOKENS: usize = 128;
const STEPS: usize = 5;

/// `candle_nn::LayerNorm` has a backward only in its composed form, so that form is written out here.
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    fn new(vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints(HIDDEN, "weight", Init::Const(1.0))?;
        Ok(Self { weight, bias: vb.get_with_hints(HIDDEN, "bias", Init::Const(0.0))? })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (x.sqr()?.mean_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
        x.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}

struct Layer {
    attention: [Linear; 4],
    middle: [Linear; 2],
    norms: [Norm; 2],
}

impl Layer {
    fn new(vb: VarBuilder) -> Result<Self> {
        let linear = |inputs, outputs, name: &str| candle_nn::linear(inputs, outputs, vb.pp(name));
        Ok(Self {
            attention: [
                linear(HIDDEN, HIDDEN, "q")?,
                linear(HIDDEN, HIDDEN, "k")?,
                linear(HIDDEN, HIDDEN, "v")?,
                linear(HIDDEN, HIDDEN, "o")?,
            ],
            middle: [linear(HIDDEN, MIDDLE, "up")?, linear(MIDDLE, HIDDEN, "down")?],
            norms: [Norm::new(vb.pp("a"))?, Norm::new(vb.pp("b"))?],
        })
    }

    fn forward(&self, x: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let heads = |y: Tensor| y.reshape((BATCH, TOKENS, HEADS, HIDDEN / HEADS))?.transpose(1, 2)?.contiguous();
        let [q, k, v, o] = &self.attention;
        let (q, k, v) = (heads(q.forward(x)?)?, heads(k.forward(x)?)?, heads(v.forward(x)?)?);
        let scores = (q.matmul(&k.t()?.contiguous()?)? / ((HIDDEN / HEADS) as f64).sqrt())?;
        let probabilities = dropout.forward(&candle_nn::ops::softmax(&scores, D::Minus1)?, true)?;
        let context = probabilities.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((BATCH, TOKENS, HIDDEN))?;
        let attended = dropout.forward(&o.forward(&context)?, true)?;
        let x = self.norms[0].forward(&(x + attended)?)?;
        let [up, down] = &self.middle;
        let narrow = dropout.forward(&down.forward(&up.forward(&x)?.gelu_erf()?)?, true)?;
        self.norms[1].forward(&(x + narrow)?)
    }
}

fn main() -> Result<()> {
    let device = Device::Cpu;
    let variables = VarMap::new();
    let vb = VarBuilder::from_varmap(&variables, DType::F32, &device);
    let words: Embedding = candle_nn::embedding(30_522, HIDDEN, vb.pp("words"))?;
    let positions: Embedding = candle_nn::embedding(512, HIDDEN, vb.pp("positions"))?;
    let norm = Norm::new(vb.pp("norm"))?;
    let layers = (0..LAYERS).map(|i| Layer::new(vb.pp(format!("layer{i}")))).collect::<Result<Vec<_>>>()?;
    let (pooler, head) = (candle_nn::linear(HIDDEN, HIDDEN, vb.pp("pooler"))?, candle_nn::linear(HIDDEN, 2, vb.pp("head"))?);
    let dropout = Dropout::new(0.1);
    let mut optimizer = AdamW::new(variables.all_vars(), ParamsAdamW { lr: 2e-5, ..ParamsAdamW::default() })?;
    let ids: Vec<u32> = (0..BATCH * TOKENS).map(|i| (i * 7919 % 30_522) as u32).collect();
    let ids = Tensor::from_vec(ids, (BATCH, TOKENS), &device)?;
    let places = Tensor::arange(0u32, TOKENS as u32, &device)?;
    let labels = Tensor::from_vec((0..BATCH as u32).map(|i| i % 2).collect(), BATCH, &device)?;
    let mut times = Vec::new();
    for _ in 0..=STEPS {
        let start = Instant::now();
        let embedded = words.forward(&ids)?.broadcast_add(&positions.forward(&places)?)?;
        let mut x = dropout.forward(&norm.forward(&embedded)?, true)?;
        for layer in &layers {
            x = layer.forward(&x, &dropout)?;
        }
        let pooled = pooler.forward(&x.narrow(1, 0, 1)?.squeeze(1)?)?.tanh()?;
        let logits = head.forward(&dropout.forward(&pooled, true)?)?;
        let loss = candle_nn::loss::cross_entropy(&logits, &labels)?;
        optimizer.backward_step(&loss)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
    println!("candle: step {:.0} ms, peak {peak}", times[STEPS / 2]);
    Ok(())
}
