//! Every operation against its reference: values, and gradients against central differences of the reference, through
//! one checker. An operation is tested by having a case in [`cases`].

use crate::random::mix;
use crate::{
    Activation, Attention, BinaryCrossEntropy, CrossEntropy, Dropout, EmbeddingTables, Gradients, LayerNorm, Mode,
    ParameterId, Parameters, Pool, Sequences, SquaredError, Tape, Tensor, Value,
};

use super::{
    activation, affine, attention, binary_cross_entropy, cosine, cross_entropy, embedding, layer_norm, linear, mean,
    pair_error, rows, squared_error, standardise, weighted_sum,
};

/// Which of five rows have which of three labels.
const HAS: [f32; 15] = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0];

/// Values in (−1, 1) from a seed.
fn values(seed: u64, len: usize) -> Vec<f32> {
    (0..len as u64).map(|i| ((mix(mix(seed) ^ i) >> 40) as f32 / (1u64 << 23) as f32) - 1.0).collect()
}

type Run = fn(&mut Tape<'_>, Vec<Value>, &[ParameterId]) -> Value;
type Reference = fn(&[Vec<f64>]) -> Vec<f64>;

/// An operation to check. Inputs are matrices that a gradient flows to; parameters are tensors of the store.
struct Case {
    name: &'static str,
    inputs: Vec<(usize, usize)>,
    parameters: Vec<Vec<usize>>,
    run: Run,
    /// The same in double precision from all inputs, then all parameters.
    reference: Reference,
}

const OFFSETS: [usize; 5] = [0, 1, 4, 9, 70];
const IDS: [u32; 5] = [3, 0, 3, 6, 1];
const NO_DROPOUT: Dropout = Dropout { probability: 0.0, site: 0 };

fn sequences() -> Sequences {
    Sequences::new(OFFSETS.to_vec(), vec![5, 6, 7, 8])
}

fn many_targets() -> Vec<u32> {
    (0..70).map(|row| row * 11 % 37).collect()
}

fn norm(parameters: &[ParameterId]) -> LayerNorm {
    LayerNorm { weight: parameters[0], bias: parameters[1], epsilon: 1e-12 }
}

fn activation_case(name: &'static str, kind: Activation) -> Case {
    macro_rules! run {
        ($kind:expr) => {
            (
                |tape, mut inputs, parameters| tape.activation(inputs.remove(0), parameters[0], $kind),
                |all| activation::reference::activation($kind, &all[0], &all[1]),
            )
        };
    }
    let (run, reference): (Run, Reference) = match kind {
        Activation::Gelu => run!(Activation::Gelu),
        Activation::GeluTanh => run!(Activation::GeluTanh),
        Activation::Relu => run!(Activation::Relu),
        Activation::Tanh => run!(Activation::Tanh),
    };
    Case { name, inputs: vec![(70, 19)], parameters: vec![vec![19]], run, reference }
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "linear",
            inputs: vec![(70, 12)],
            parameters: vec![vec![21, 12], vec![21]],
            run: |tape, inputs, parameters| tape.linear(&inputs[0], parameters[0], Some(parameters[1])),
            reference: |all| linear::reference::linear(&all[0], &all[1], &all[2]),
        },
        Case {
            name: "layer_norm",
            inputs: vec![(70, 20)],
            parameters: vec![vec![20], vec![20]],
            run: |tape, mut inputs, parameters| tape.layer_norm(inputs.remove(0), norm(parameters)),
            reference: |all| layer_norm::reference::layer_norm(&all[0], &all[1], &all[2], 1e-12),
        },
        Case {
            name: "residual_layer_norm",
            inputs: vec![(70, 20), (70, 20)],
            parameters: vec![vec![20], vec![20]],
            run: |tape, mut inputs, parameters| {
                let x = inputs.remove(0);
                tape.residual_layer_norm(x, &inputs[0], norm(parameters), NO_DROPOUT, &sequences())
            },
            reference: |all| {
                let sum: Vec<f64> = all[0].iter().zip(&all[1]).map(|(a, b)| a + b).collect();
                layer_norm::reference::layer_norm(&sum, &all[2], &all[3], 1e-12)
            },
        },
        activation_case("gelu", Activation::Gelu),
        activation_case("gelu_tanh", Activation::GeluTanh),
        activation_case("relu", Activation::Relu),
        activation_case("tanh", Activation::Tanh),
        Case {
            name: "attention",
            inputs: vec![(70, 12); 3],
            parameters: vec![],
            run: |tape, inputs, _| {
                let [q, k, v] = inputs.try_into().expect("three inputs");
                tape.attention([q, k, v], Attention { heads: 3, dropout: NO_DROPOUT }, &sequences(), &sequences())
            },
            reference: |all| attention::reference::attention(&all[0], &all[1], &all[2], 12, 3, &OFFSETS),
        },
        Case {
            name: "attention of first tokens",
            inputs: vec![(4, 12), (70, 12), (70, 12)],
            parameters: vec![],
            run: |tape, inputs, _| {
                let [q, k, v] = inputs.try_into().expect("three inputs");
                let attention = Attention { heads: 3, dropout: NO_DROPOUT };
                tape.attention([q, k, v], attention, &sequences().first_tokens(), &sequences())
            },
            reference: |all| {
                let mut q = vec![0.0; 70 * 12];
                for (row, &start) in all[0].chunks(12).zip(&OFFSETS) {
                    q[start * 12..(start + 1) * 12].copy_from_slice(row);
                }
                let y = attention::reference::attention(&q, &all[1], &all[2], 12, 3, &OFFSETS);
                rows::reference::rows(&y, 12, &OFFSETS[..4])
            },
        },
        Case {
            name: "embedding",
            inputs: vec![],
            parameters: vec![vec![7, 6], vec![5, 6], vec![2, 6]],
            run: |tape, _, p| {
                let tables = EmbeddingTables::new(p[0], p[1], Some(p[2]));
                tape.embedding(tables, &IDS, &[0, 1, 2, 0, 1], &[0, 0, 1, 0, 1])
            },
            reference: |all| {
                let tables = [(&*all[0], &IDS[..]), (&*all[1], &[0, 1, 2, 0, 1]), (&*all[2], &[0, 0, 1, 0, 1])];
                embedding::reference::embedding(&tables, 6)
            },
        },
        Case {
            name: "embedding without types",
            inputs: vec![],
            parameters: vec![vec![7, 6], vec![5, 6]],
            run: |tape, _, p| {
                let tables = EmbeddingTables::new(p[0], p[1], None);
                tape.embedding(tables, &IDS, &[0, 1, 2, 0, 1], &[])
            },
            reference: |all| embedding::reference::embedding(&[(&*all[0], &IDS[..]), (&*all[1], &[0, 1, 2, 0, 1])], 6),
        },
        Case {
            name: "sequence_means",
            inputs: vec![(70, 19)],
            parameters: vec![],
            run: |tape, inputs, _| tape.sequence_means(&inputs[0], &sequences()),
            reference: |all| mean::reference::sequence_means(&all[0], 19, &OFFSETS),
        },
        Case {
            name: "standardise",
            inputs: vec![(70, 19)],
            parameters: vec![],
            run: |tape, inputs, _| tape.standardise(&inputs[0], 1e-12),
            reference: |all| standardise::reference::standardise(&all[0], 19, 1e-12),
        },
        Case {
            name: "affine",
            inputs: vec![(5, 3)],
            parameters: vec![],
            run: |tape, inputs, _| tape.affine(&inputs[0], &[2.0, -0.5, 1.0], &[0.5, 0.0, -3.0]),
            reference: |all| affine::reference::affine(&all[0], &[2.0, -0.5, 1.0], &[0.5, 0.0, -3.0]),
        },
        Case {
            name: "first_token",
            inputs: vec![(70, 9)],
            parameters: vec![],
            run: |tape, inputs, _| tape.first_token(&inputs[0], &sequences()),
            reference: |all| rows::reference::rows(&all[0], 9, &OFFSETS[..4]),
        },
        Case {
            name: "rows, one of them twice",
            inputs: vec![(70, 9)],
            parameters: vec![],
            run: |tape, inputs, _| tape.rows(&inputs[0], &[69, 3, 0, 3]),
            reference: |all| rows::reference::rows(&all[0], 9, &[69, 3, 0, 3]),
        },
        Case {
            name: "weighted_sum, one term twice",
            inputs: vec![(2, 3), (2, 3)],
            parameters: vec![],
            run: |tape, inputs, _| {
                let [a, b] = inputs.try_into().expect("two inputs");
                tape.weighted_sum(&[(a.clone(), 0.5), (b, -2.0), (a, 0.25)])
            },
            reference: |all| weighted_sum::reference::weighted_sum(&[(&all[0], 0.75), (&all[1], -2.0)]),
        },
        Case {
            name: "cosines",
            inputs: vec![(5, 18), (7, 18)],
            parameters: vec![],
            run: |tape, inputs, _| tape.cosines(&inputs[0], &inputs[1], 20.0),
            reference: |all| cosine::reference::cosines(&all[0], &all[1], 18, 20.0),
        },
        Case {
            name: "cosines of a matrix with itself",
            inputs: vec![(6, 9)],
            parameters: vec![],
            run: |tape, inputs, _| tape.cosines(&inputs[0], &inputs[0], 0.5),
            reference: |all| cosine::reference::cosines(&all[0], &all[0], 9, 0.5),
        },
        Case {
            name: "linear and embedding on one table",
            inputs: vec![(5, 6)],
            parameters: vec![vec![7, 6], vec![5, 6], vec![2, 6], vec![7]],
            run: |tape, inputs, p| {
                let tables = EmbeddingTables::new(p[0], p[1], Some(p[2]));
                let embedded = tape.embedding(tables, &IDS, &[0, 1, 2, 0, 1], &[0, 0, 1, 0, 1]);
                let sum = tape.weighted_sum(&[(embedded, 1.0), (inputs[0].clone(), 1.0)]);
                tape.linear(&sum, p[0], Some(p[3]))
            },
            reference: |all| {
                let tables = [(&*all[1], &IDS[..]), (&*all[2], &[0, 1, 2, 0, 1]), (&*all[3], &[0, 0, 1, 0, 1])];
                let embedded = embedding::reference::embedding(&tables, 6);
                let sum = weighted_sum::reference::weighted_sum(&[(&embedded, 1.0), (&all[0], 1.0)]);
                linear::reference::linear(&sum, &all[1], &all[4])
            },
        },
        Case {
            name: "cross_entropy of many rows and classes, plain",
            inputs: vec![(70, 37)],
            parameters: vec![],
            run: |tape, mut inputs, _| {
                let options = CrossEntropy {
                    targets: &many_targets(),
                    class_weights: None,
                    label_smoothing: 0.0,
                    normaliser: 70.0,
                };
                tape.cross_entropy(inputs.remove(0), &options)
            },
            reference: |all| {
                vec![cross_entropy::reference::cross_entropy(&all[0], &many_targets(), &[1.0; 37], 0.0) / 70.0]
            },
        },
        Case {
            name: "cross_entropy",
            inputs: vec![(5, 7)],
            parameters: vec![],
            run: |tape, mut inputs, _| {
                let options = CrossEntropy {
                    targets: &IDS,
                    class_weights: Some(&[0.5, 2.0, 1.0, 3.0, 1.0, 1.0, 0.25]),
                    label_smoothing: 0.1,
                    normaliser: 3.0,
                };
                tape.cross_entropy(inputs.remove(0), &options)
            },
            reference: |all| {
                let weights = [0.5, 2.0, 1.0, 3.0, 1.0, 1.0, 0.25];
                vec![cross_entropy::reference::cross_entropy(&all[0], &IDS, &weights, f64::from(0.1f32)) / 3.0]
            },
        },
        Case {
            name: "binary_cross_entropy",
            inputs: vec![(5, 3)],
            parameters: vec![],
            run: |tape, mut inputs, _| {
                let options = BinaryCrossEntropy {
                    targets: &HAS,
                    label_weights: Some(&[0.5, 2.0, 1.0]),
                    label_smoothing: 0.1,
                    normaliser: 4.0,
                };
                tape.binary_cross_entropy(inputs.remove(0), &options)
            },
            reference: |all| {
                let smoothing = f64::from(0.1f32);
                let loss =
                    binary_cross_entropy::reference::binary_cross_entropy(&all[0], &HAS, &[0.5, 2.0, 1.0], smoothing);
                vec![loss / 4.0]
            },
        },
        Case {
            name: "pair_error, of which one row is alone",
            inputs: vec![(6, 6)],
            parameters: vec![],
            run: |tape, mut inputs, _| tape.pair_error(inputs.remove(0), &[1, 0, 1, 2, 0, 1]),
            reference: |all| vec![pair_error::reference::pair_error(&all[0], &[1, 0, 1, 2, 0, 1])],
        },
        Case {
            name: "pair_error of one group",
            inputs: vec![(3, 3)],
            parameters: vec![],
            run: |tape, mut inputs, _| tape.pair_error(inputs.remove(0), &[1, 1, 1]),
            reference: |all| vec![pair_error::reference::pair_error(&all[0], &[1, 1, 1])],
        },
        Case {
            name: "squared_error",
            inputs: vec![(5, 3)],
            parameters: vec![],
            run: |tape, mut inputs, _| {
                let options = SquaredError { targets: &HAS, huber_delta: None, normaliser: 15.0 };
                tape.squared_error(inputs.remove(0), &options)
            },
            reference: |all| vec![squared_error::reference::squared_error(&all[0], &HAS, None) / 15.0],
        },
        Case {
            name: "squared_error, Huber's",
            inputs: vec![(5, 3)],
            parameters: vec![],
            run: |tape, mut inputs, _| {
                let options = SquaredError { targets: &HAS, huber_delta: Some(0.5), normaliser: 15.0 };
                tape.squared_error(inputs.remove(0), &options)
            },
            reference: |all| vec![squared_error::reference::squared_error(&all[0], &HAS, Some(0.5)) / 15.0],
        },
    ]
}

/// The fast path: the output, and the gradient of Σ cotangent · output for every input and parameter.
fn fast(case: &Case, all: &[Vec<f32>], cotangent: Option<&[f32]>) -> (Vec<f32>, Vec<Vec<f32>>) {
    let (inputs, tensors) = all.split_at(case.inputs.len());
    let mut parameters = Parameters::new();
    let ids: Vec<_> =
        case.parameters.iter().zip(tensors).map(|(shape, values)| parameters.add("p", shape, values)).collect();
    let mut gradients = Gradients::new(&parameters, &[]);
    let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Training);
    let leaves: Vec<Value> = case
        .inputs
        .iter()
        .zip(inputs)
        .map(|(&(rows, columns), values)| tape.leaf(Tensor::from_values(values, rows, columns)))
        .collect();
    let output = (case.run)(&mut tape, leaves.clone(), &ids);
    let result = output.values().to_vec();
    let Some(cotangent) = cotangent else {
        return (result, Vec::new());
    };
    let seed = Tensor::from_values(cotangent, output.rows(), output.columns());
    let leaf_gradients = tape.backward_from(output, seed, &mut gradients);
    let of_leaves = leaves.iter().map(|leaf| leaf_gradients.get(leaf).expect("a gradient").values().to_vec());
    let of_parameters = ids.iter().map(|&id| gradients.to_vec(id).expect("trainable"));
    (result, of_leaves.chain(of_parameters).collect())
}

fn assert_close(what: &str, fast: &[f32], exact: &[f64], tolerance: f64) {
    assert_eq!(fast.len(), exact.len(), "{what}: size");
    let scale = exact.iter().fold(1e-3f64, |a, b| a.max(b.abs()));
    for (i, (&fast, exact)) in fast.iter().zip(exact).enumerate() {
        assert!((f64::from(fast) - exact).abs() <= tolerance * scale, "{what}[{i}]: {fast} for {exact}");
    }
}

#[test]
fn values_and_gradients_agree_with_the_reference() {
    for case in cases() {
        let sizes = case.inputs.iter().map(|&(rows, columns)| rows * columns);
        let sizes = sizes.chain(case.parameters.iter().map(|shape| shape.iter().product()));
        let all: Vec<Vec<f32>> = sizes.enumerate().map(|(i, len)| values(i as u64 + 1, len)).collect();
        let mut exact: Vec<Vec<f64>> = all.iter().map(|v| v.iter().map(|&x| f64::from(x)).collect()).collect();
        let expected = (case.reference)(&exact);
        let cotangent = values(99, expected.len());
        let (output, gradients) = fast(&case, &all, Some(&cotangent));
        assert_close(case.name, &output, &expected, 2e-6);
        let objective = |all: &[Vec<f64>]| -> f64 {
            (case.reference)(all).iter().zip(&cotangent).map(|(y, &c)| y * f64::from(c)).sum()
        };
        for (which, gradient) in gradients.iter().enumerate() {
            // A sample of the elements: the reference is slow.
            for element in (0..gradient.len()).step_by(1 + gradient.len() / 60) {
                let (original, h) = (exact[which][element], 1e-5);
                exact[which][element] = original + h;
                let above = objective(&exact);
                exact[which][element] = original - h;
                let below = objective(&exact);
                exact[which][element] = original;
                let difference = (above - below) / (2.0 * h);
                let scale = gradient.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
                assert!(
                    (f64::from(gradient[element]) - difference).abs() <= 1e-5 * f64::from(scale),
                    "{}: gradient {which}[{element}] is {}, differences give {difference}",
                    case.name,
                    gradient[element],
                );
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for case in cases() {
        let sizes = case.inputs.iter().map(|&(rows, columns)| rows * columns);
        let sizes = sizes.chain(case.parameters.iter().map(|shape| shape.iter().product()));
        let all: Vec<Vec<f32>> = sizes.enumerate().map(|(i, len)| values(i as u64 + 1, len)).collect();
        let outputs = fast(&case, &all, None).0.len();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
            pool.install(|| fast(&case, &all, Some(&values(99, outputs))))
        };
        assert_eq!(run(1), run(2), "{}", case.name);
        assert_eq!(run(1), run(3), "{}", case.name);
    }
}

/// A small network that uses every place where dropout happens.
fn dropped_out(sequences: &Sequences, x: &[f32], mode: Mode) -> (Vec<f32>, Vec<f32>) {
    let mut parameters = Parameters::new();
    let ids = [vec![12, 12], vec![12], vec![12]].map(|shape| {
        let len = shape.iter().product();
        parameters.add("p", &shape, &values(len as u64, len))
    });
    let mut gradients = Gradients::new(&parameters, &[]);
    let mut tape = Tape::new(&parameters, &Pool::new(), mode);
    let x = tape.leaf(Tensor::from_values(x, sequences.tokens(), 12));
    let dropout = |site| Dropout { probability: 0.3, site };
    let q = tape.linear(&x, ids[0], None);
    let y =
        tape.attention([q.clone(), x.clone(), q], Attention { heads: 3, dropout: dropout(1) }, sequences, sequences);
    let norm = LayerNorm { weight: ids[1], bias: ids[2], epsilon: 1e-12 };
    let y = tape.residual_layer_norm(y, &x, norm, dropout(2), sequences);
    let y = tape.first_token(&y, sequences);
    let y = tape.dropout(y, dropout(3), sequences);
    let result = y.values().to_vec();
    let seed = Tensor::from_values(&vec![1.0; result.len()], y.rows(), y.columns());
    tape.backward_from(y, seed, &mut gradients);
    (result, gradients.to_vec(ids[0]).expect("trainable"))
}

#[test]
fn dropout_is_live_in_training_only() {
    let x = values(1, 70 * 12);
    let (live, _) = dropped_out(&sequences(), &x, Mode::Training);
    let (still, _) = dropped_out(&sequences(), &x, Mode::Inference);
    assert_ne!(live, still);
    assert!(live.contains(&0.0) && !still.contains(&0.0));
    assert_eq!(still, dropped_out(&Sequences::new(OFFSETS.to_vec(), vec![1, 2, 3, 4]), &x, Mode::Inference).0);
}

#[test]
fn a_batch_with_dropout_is_its_sequences_one_by_one() {
    let x = values(1, 70 * 12);
    let (whole, gradient) = dropped_out(&sequences(), &x, Mode::Training);
    let mut sum = vec![0.0f64; gradient.len()];
    for (i, bounds) in OFFSETS.windows(2).enumerate() {
        let alone = Sequences::new(vec![0, bounds[1] - bounds[0]], vec![5 + i as u64]);
        let (row, part) = dropped_out(&alone, &x[bounds[0] * 12..bounds[1] * 12], Mode::Training);
        let expected: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        assert_close("row", &whole[i * 12..(i + 1) * 12], &expected, 1e-6);
        sum.iter_mut().zip(part).for_each(|(total, part)| *total += f64::from(part));
    }
    assert_close("gradient", &gradient, &sum, 1e-6);
}

#[test]
fn dropout_gradients_agree_with_differences() {
    // The mask is a function of the position, so the network with live dropout is differentiable as it stands.
    let mut x = values(1, 70 * 12);
    let mut parameters = Parameters::new();
    let ids = [vec![12], vec![12]].map(|shape| parameters.add("p", &shape, &values(3, 12)));
    let mut gradients = Gradients::new(&parameters, &[]);
    let mut run = |x: &[f32], backward: bool| {
        let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Training);
        let x = tape.leaf(Tensor::from_values(x, 70, 12));
        let dropout = |site| Dropout { probability: 0.3, site };
        let attention = Attention { heads: 3, dropout: dropout(1) };
        let y = tape.attention([x.clone(), x.clone(), x.clone()], attention, &sequences(), &sequences());
        let norm = LayerNorm { weight: ids[0], bias: ids[1], epsilon: 1e-12 };
        let y = tape.residual_layer_norm(y, &x, norm, dropout(2), &sequences());
        let seed = values(4, y.values().len());
        let objective: f64 = y.values().iter().zip(&seed).map(|(&y, &s)| f64::from(y) * f64::from(s)).sum();
        let seed = Tensor::from_values(&seed, y.rows(), y.columns());
        let gradient = backward.then(|| {
            let leaves = tape.backward_from(y, seed, &mut gradients);
            leaves.get(&x).expect("a gradient").values().to_vec()
        });
        (objective, gradient.unwrap_or_default())
    };
    let gradient = run(&x, true).1;
    for element in (0..x.len()).step_by(41) {
        let (original, h) = (x[element], 1e-3);
        x[element] = original + h;
        let above = run(&x, false).0;
        x[element] = original - h;
        let below = run(&x, false).0;
        x[element] = original;
        let difference = (above - below) / (2.0 * f64::from(h));
        assert!((f64::from(gradient[element]) - difference).abs() < 5e-3, "{} {difference}", gradient[element]);
    }
}

#[test]
fn a_table_collects_only_the_rows_it_is_asked_for() {
    let mut parameters = Parameters::new();
    let ids = [vec![7, 6], vec![5, 6], vec![2, 6]].map(|shape| {
        let len = shape.iter().product();
        parameters.add("p", &shape, &values(7, len))
    });
    let tables = EmbeddingTables::new(ids[0], ids[1], Some(ids[2]));
    let collect = |sparse: &[ParameterId]| {
        let mut gradients = Gradients::new(&parameters, sparse);
        for step in 0..2 {
            gradients.clear();
            let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Training);
            let y = tape.embedding(tables, &[step + 1, 5, 5], &[0, 1, 2], &[0, 0, 0]);
            let seed = Tensor::from_values(&values(u64::from(step), 18), 3, 6);
            tape.backward_from(y, seed, &mut gradients);
        }
        (gradients.to_vec(ids[0]), gradients.sum_of_squares(ids[0]))
    };
    let (dense, sparse) = (collect(&[]), collect(&[ids[0]]));
    assert_eq!(dense.0, sparse.0);
    assert!((dense.1 - sparse.1).abs() < 1e-6 * dense.1);
    assert!(sparse.0.expect("trainable")[..2 * 6].iter().all(|&g| g == 0.0), "rows of the step before are gone");
}

#[test]
fn a_fixed_row_is_looked_up_and_learns_nothing() {
    let mut parameters = Parameters::new();
    let ids = [vec![7, 6], vec![5, 6]].map(|shape| {
        let len = shape.iter().product();
        parameters.add("p", &shape, &values(7, len))
    });
    let learning = EmbeddingTables::new(ids[0], ids[1], None);
    let fixed = EmbeddingTables { fixed_word: Some(5), fixed_position: Some(1), ..learning };
    for sparse in [&[][..], &ids[..]] {
        let collect = |tables| {
            let mut gradients = Gradients::new(&parameters, sparse);
            let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Training);
            let y = tape.embedding(tables, &[1, 5, 5, 2], &[0, 1, 2, 1], &[]);
            let output = y.values().to_vec();
            tape.backward_from(y, Tensor::from_values(&values(3, 24), 4, 6), &mut gradients);
            (output, ids.map(|id| gradients.to_vec(id).expect("trainable")))
        };
        let (all, some) = (collect(learning), collect(fixed));
        assert_eq!(all.0, some.0);
        for ((mut all, some), row) in all.1.into_iter().zip(some.1).zip([5, 1]) {
            assert!(all[row * 6..(row + 1) * 6].iter().all(|&g| g != 0.0));
            all[row * 6..(row + 1) * 6].fill(0.0);
            assert_eq!(all, some);
        }
    }
}

#[test]
fn frozen_prefixes_are_not_recorded_and_get_no_gradient() {
    let mut parameters = Parameters::new();
    let [frozen, trained] = [1, 2].map(|seed| parameters.add("p", &[12, 12], &values(seed, 144)));
    parameters.get_mut(frozen).trainable = false;
    let mut gradients = Gradients::new(&parameters, &[]);
    let mut tape = Tape::new(&parameters, &Pool::new(), Mode::Training);
    let x = tape.constant(Tensor::from_values(&values(3, 24), 2, 12));
    let hidden = tape.linear(&x, frozen, None);
    let y = tape.linear(&hidden, trained, None);
    assert!(tape.recorded() == 1);
    let seed = Tensor::from_values(&[1.0; 24], 2, 12);
    tape.backward_from(y, seed, &mut gradients);
    assert!(gradients.to_vec(frozen).is_none());
    assert!(gradients.sum_of_squares(trained) > 0.0);
}
