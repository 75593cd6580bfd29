"""The torch face of the engine: layers that stand in for `torch.nn.LSTM`."""

from rnn_engine.nn.modules import LSTM, MILSTM

__all__ = ["LSTM", "MILSTM"]
