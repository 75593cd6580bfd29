"""Recurrent layers, one a cell, with the face of `torch.nn.LSTM`."""

from __future__ import annotations

from rnn_engine.nn.layer import Recurrent


class LSTM(Recurrent):
    """Long short-term memory; a drop-in for `torch.nn.LSTM`.

    Args:
        input_size: I, width of the input.
        hidden_size: H, width of the state; or the H of each layer.
        num_layers: L, stacked layers.
        bias: Whether to have bias_ih and bias_hh.
        batch_first: Whether input and output are [B, T, ...] instead of [T, B, ...].
        dropout: Probability of dropping a value of each layer's output but the last's, in training.
        bidirectional: Whether to run each layer in both directions and concatenate.
        proj_size: P, width to which h is projected (Sak et al. 2014), less than H; 0: no projection.
        device: As in torch: the CPU or a CUDA device (docs/gpu.md).
        dtype: torch.float32, torch.float64, torch.bfloat16 or, on CUDA, torch.float16. The halves are what is stored;
            sums and cell states are float32. A float32 layer computes so under torch.autocast, with gradients in
            float32.
        memory: What a call keeps for its backward pass: "store", "recompute", "checkpoint", or a number of bytes such
            as "256MiB" within which the fastest mix is chosen (`rnn_engine.spec.Memory`). Results do not depend on it.
        schedule: How threads share the work: "layers", "wavefront", or "auto", whichever is predicted to be faster
            (`rnn_engine.spec.SCHEDULES`). Nor do results depend on it.
        recurrent_dropout: Probability of dropping a value of h before U, in training, with one mask for all steps of a
            sequence; dropout between layers then has one mask for all steps too (Gal & Ghahramani 2016).
        zoneout: Probabilities with which a value of c, and one of h, stays what it was a step before, in training; in
            evaluation c and h are the expectation (Krueger et al. 2016).
        residual: Whether each layer above the first puts out its h plus what the layer below put out, before dropout
            (Wu et al. 2016); all layers are then equally wide. The last states are the cells' own.
        dropout_mask: "value": dropout between layers draws a mask for every step; "sentence": one for all steps of a
            sequence.

    Source:
        Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; equations in csrc/cells/lstm.h.
    """

    cell = "lstm"


class MILSTM(Recurrent):
    """LSTM with multiplicative integration.

    Its gates are made of alpha*a*r + beta1*r + beta2*a + bias with a = W x + bias_ih and r = U h' + bias_hh. Takes the
    arguments of `LSTM`. Beside an LSTM's parameters it has alpha, beta1, beta2 and bias, each [4H], for each layer and
    direction.

    Source:
        Wu et al. 2016, "On multiplicative integration with recurrent neural networks", equation 4 with one alpha and
        two betas per gate element; equations in csrc/cells/mi_lstm.h.
    """

    cell = "mi_lstm"


class LayerNormLSTM(Recurrent):
    """LSTM with layer normalisation.

    Its gates are made of LN(W x; gamma_ih) + bias_ih + LN(U h'; gamma_hh) + bias_hh, each normalised over the 4H values
    of a step, and h = o*tanh(LN(c; gamma_c) + beta_c). Takes the arguments of `LSTM`. Beside an LSTM's parameters it
    has gamma_ih and gamma_hh, each [4H], and gamma_c and beta_c, each [H], for each layer and direction.

    Source:
        Ba, Kiros & Hinton 2016, "Layer normalization", equations 20 to 22; equations in csrc/cells/layer_norm.h.
    """

    cell = "layer_norm_lstm"


class LayerNormMILSTM(Recurrent):
    """LSTM with multiplicative integration of layer-normalised products.

    As `MILSTM`, with a = LN(W x; gamma_ih) + bias_ih and r = LN(U h'; gamma_hh) + bias_hh, and
    h = o*tanh(LN(c; gamma_c) + beta_c) as in `LayerNormLSTM`. Takes the arguments of `LSTM`, and has the parameters of
    both.

    Source:
        Wu et al. 2016 and Ba, Kiros & Hinton 2016; equations in csrc/cells/layer_norm.h.
    """

    cell = "layer_norm_mi_lstm"


class GRU(Recurrent):
    """Gated recurrent unit; a drop-in for `torch.nn.GRU`, with its equations, gate order r, z, n, and one state.

    Takes the arguments of `LSTM`, but for `proj_size`; its weights have 3H rows, and where others take and return
    (h, c), it takes and returns h. Its zoneout is (0, p_h).

    Source:
        Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine
        translation", with the reset gate behind U as in torch.nn.GRU; equations in csrc/cells/gru.h.
    """

    cell = "gru"
