"""The torch face of the engine: layers that stand in for `torch.nn.LSTM`."""

from rnn_engine.nn.modules import GRU, LSTM, MILSTM, LayerNormLSTM, LayerNormMILSTM

__all__ = ["GRU", "LSTM", "MILSTM", "LayerNormLSTM", "LayerNormMILSTM"]
