"""One network that reads and one that writes, with attention between (`--architecture seq2seq`).

Sequence to sequence (Sutskever, Vinyals & Le 2014, https://arxiv.org/abs/1409.3215; with attention
Bahdanau, Cho & Bengio 2015, https://arxiv.org/abs/1409.0473; of Chinese verse line by line Zhang &
Lapata 2014, https://aclanthology.org/D14-1074). A poem is written a line at a time. What has been
read up to there, what is told of the poem and the lines so far, is the source of the next line:

    source   c c c c c c <bos> 白 日 依 山 尽 ，             what is told, and the lines so far
    line                                      ， 黄 河 入 海 流        read by the decoder
                                              黄 河 入 海 流 。        predicted

`<bos>` and each token that ends a line are the last of a source and the first that the decoder of
the next line reads. A bidirectional encoder makes o_s of each token of the source; the decoder, of
the same cell, starts from where both directions ended, and at each step looks back through
attention (`poetgen.models.attention`):

    h_0 = tanh(W_0 [a_m; b_l] + b_0)       m: the source's last token, l: the first of its last line
    h_t = f(x_t, h_{t-1})
    c_t = Σ_s α_ts o_s
    y_t = V tanh(W_c [h_t; c_t])           Luong, Pham & Manning 2015, equation 5

The memory of an LSTM starts like h. V is the embedding where it is tied.

**What it reads twice.** The sources of a poem's lines begin alike and end apart. Read anew for each
line, as many tokens would go through the encoder as the square of the poem. So its way onward goes
once over the whole text, and its way back takes the lines in their order and each from its end to
its beginning. o_s then knows all that stands before s, and after it the rest of its own line; no
later line changes it, and one pass over a poem makes the sources of all its lines. Through a_m and
b_l the decoder is told of all lines anyhow.

**Where a line ends** is told by ids, `ModelConfig.line_ends`: a network knows no characters. What
is at a token depends on nothing after it, so that teacher forcing, measuring and writing are those
of a language model. All lines of a batch that are equally long go through the decoder side by side,
so that training makes few steps with many rows.

**One token at a time** the state holds the ids so far, the encoded source, and the decoder's state.
When a line ends, the rows in which it does are encoded anew. Rows may be at different places.

Shapes: B poems side by side, T tokens, N tokens so far, S tokens of a source, E embedding_size, H
hidden_size, L num_layers, D width of the encoder's outputs: 2 H, or H in one direction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from poetgen.dataset.vocabulary import BOS
from poetgen.models.attention import Attention
from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.dropout import drop_recurrent_weights, embed_with_dropout, locked_dropout
from poetgen.models.encoder import BothWays
from poetgen.models.initialisation import initialise_recurrent
from poetgen.models.network import Network, OutputLayer, State

_EMBEDDING_SCALE = 0.05  # As in a language model, whose output layer they are too.

_FEW = 8
"""So many tokens after others are read one by one; for more, what came before is read again."""


class _Written(NamedTuple):
    """A state by its parts.

    Attributes:
        ids: (N, B) int64, the tokens so far; PAD behind a row's own.
        own: (1, B) int64, how many of them are a row's own.
        source: (S, B, D), what the line in hand may look at.
        size: (1, B) int64, how much of `source` is a row's own; 0 before a first line begins.
        decoder: The decoder's state, (L, B, H) each.
    """

    ids: Tensor
    own: Tensor
    source: Tensor
    size: Tensor
    decoder: State


class Seq2Seq(Network):
    """A bidirectional encoder, attention, and a decoder that writes line by line.

    Args:
        config: The shape of the network, of architecture seq2seq.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self._cell = cell_named(config.cell)
        H, states = config.hidden_size, self._cell.states * config.num_layers
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.encoder = BothWays(config, bidirectional=bool(config.bidirectional))
        D = self.encoder.output_size
        # A cell that carries nothing from step to step has no state to start from.
        self.bridge = nn.Linear(D, states * H) if states else None
        self.decoder = self._cell.build(config)
        self.attention = Attention(H, D, H)
        scored = config.embedding_size if config.tie_embeddings else H
        self.combination = nn.Linear(H + D, scored, bias=False)
        self.output = OutputLayer(config)
        openers = torch.tensor(sorted({BOS, *config.line_ends}))
        self.register_buffer("_openers", openers, persistent=False)
        self._openers: Tensor

    # What a network is --------------------------------------------------------------------------

    def start(self, n: int) -> State:
        """The state of `n` rows that have read nothing."""
        D, like = self.encoder.output_size, self.embedding.weight
        none = torch.zeros(1, n, dtype=torch.int64, device=like.device)
        return _packed(
            _Written(none[:0], none, like.new_zeros(0, n, D), none, self._no_decoder_state(n))
        )

    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens.

        Args:
            ids: Tokens, (B, T) int64.
            state: What an earlier call left; None for `start(B)`.

        Returns:
            The decoder's output and what it took from the source, side by side, (B, T, H + D), and
            the state after the last token. Both are zeros before the first `<bos>`.
        """
        if state is None:
            count = torch.full((len(ids),), ids.shape[1], device=ids.device)
            return self._read(ids, count)[:2]
        before = _unpacked(state)
        if ids.shape[1] <= _FEW and not self.training:
            found = []
            for tokens in ids.unbind(1):
                hidden, before = self._step(tokens, before)
                found.append(hidden)
            return torch.stack(found, dim=1), _packed(before)
        places = before.own.t() + torch.arange(ids.shape[1], device=ids.device)  # (B, T)
        so_far = _grown(before.ids, int(places.max()) + 1).t().scatter(1, places, ids)
        hidden, after, _ = self._read(so_far, places[:, -1] + 1)
        return hidden.gather(1, places.unsqueeze(2).expand(-1, -1, hidden.shape[2])), after

    def features(self, hidden: Tensor) -> Tensor:
        """What the output layer scores, of the decoder's output and what it took: (…, H + D)."""
        return torch.tanh(self.combination(hidden))

    @torch.no_grad()
    def initialise(self, token_counts: np.ndarray | None = None, seed: int = 0) -> None:
        """Give every parameter the value that training starts from.

        Recurrent layers as in a language model, other matrices Glorot uniform, biases zero.

        Args:
            token_counts: How often each token is predicted in training, (V,); None for no bias.
            seed: Of a generator of its own; torch's global one is not touched.
        """
        generator = torch.Generator().manual_seed(seed)
        self.embedding.weight.normal_(0.0, _EMBEDDING_SCALE, generator=generator)
        self.encoder.initialise(generator)
        initialise_recurrent(self.decoder, self.config, generator)
        self.attention.initialise(generator)
        if self.bridge is not None:
            nn.init.xavier_uniform_(self.bridge.weight, generator=generator)
            self.bridge.bias.zero_()
        nn.init.xavier_uniform_(self.combination.weight, generator=generator)
        if self.output.weight is not None:
            nn.init.xavier_uniform_(self.output.weight, generator=generator)
        self.output.bias.zero_()
        if token_counts is not None:
            self.output.start_at(token_counts)

    # What it looks at ---------------------------------------------------------------------------

    def look(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder looks at while it reads texts.

        Args:
            ids: (B, T) int64.

        Returns:
            The weights α, (B, T, T): at [b, t] of each token of the source that t may see, zeros
            where no line has begun; and the length of that source, (B, T), 0 where it has not.
        """
        count = torch.full((len(ids),), ids.shape[1], device=ids.device)
        weights = self._read(ids, count)[2]
        sizes = _lines_of(torch.isin(ids, self._openers)).opener + 1
        return weights * (sizes > 0).unsqueeze(2), sizes

    # All tokens at once -------------------------------------------------------------------------

    def _read(self, ids: Tensor, count: Tensor) -> tuple[Tensor, State, Tensor]:
        """Read whole texts, (B, N), of which `count`, (B,), tokens are a row's own.

        Returns:
            As `hidden` does, of all N, and the weights of attention, (B, N, N).
        """
        N = ids.shape[1]
        drop = self.config.dropout if self.training else 0.0
        share = self.config.embedding_dropout if self.training else 0.0
        inputs = embed_with_dropout(self.embedding, ids, share)  # (B, N, E)
        lines = _lines_of(torch.isin(ids, self._openers))
        source = self.encoder.run(inputs, lines.turned)  # (B, N, D)
        own, decoder = self._decoded(inputs, source, lines, count, drop)

        begun = lines.opener >= 0  # (B, N)
        visible = torch.arange(N, device=ids.device) <= lines.opener.clamp(min=0).unsqueeze(2)
        taken, weights = self.attention(own, source, visible)  # (B, N, D)
        hidden = torch.cat((own, taken * begun.unsqueeze(2)), dim=2)
        size = lines.opener.gather(1, count.unsqueeze(1) - 1) + 1  # (B, 1)
        kept = source[:, : int(size.max())].transpose(0, 1)  # (S, B, D)
        after = _Written(ids.t(), count.unsqueeze(0), kept.to(inputs.dtype), size.t(), decoder)
        return hidden, _packed(after), weights

    def _decoded(
        self, inputs: Tensor, source: Tensor, lines: _Lines, count: Tensor, drop: float
    ) -> tuple[Tensor, State]:
        """Run the decoder over every line, those of one length side by side.

        Returns:
            Its outputs where they belong, (B, N, H), zeros before the first line, and its states
            after each row's last token.
        """
        B, N, _ = inputs.shape
        rows, opened = lines.opens.nonzero(as_tuple=True)  # (n,) each, row by row
        last = torch.ones_like(rows, dtype=torch.bool)  # of its row
        last[:-1] = rows[1:] != rows[:-1]
        ends = torch.where(last, count[rows], opened.roll(-1))
        lengths = ends - opened
        starts = self._starts(source, rows, opened, lines.first[rows, opened])
        decoder = self.decoder
        dropped = drop_recurrent_weights(decoder, self.config.weight_drop if self.training else 0.0)

        places, outputs, ended, finals = [], [], [], []
        for length in torch.unique(lengths).tolist():
            chosen = (lengths == length).nonzero().squeeze(1)  # (k,)
            at = (rows[chosen] * N + opened[chosen]).unsqueeze(1)
            at = at + torch.arange(length, device=at.device)  # (k, length)
            read = locked_dropout(inputs.flatten(0, 1)[at], drop)  # (k, length, E)
            state = tuple(start.index_select(1, chosen) for start in starts)
            made, after = functional_call(decoder, dropped, (read, _as_torch_has_it(state)))
            places.append(at.flatten())
            outputs.append(locked_dropout(made, drop).flatten(0, 1))
            final = last[chosen]
            ended.append(rows[chosen[final]])
            finals.append(tuple(part[:, final] for part in _as_tuple(after)))

        empty = inputs.new_zeros(B * N, self.config.hidden_size)
        if not outputs:
            return empty.view(B, N, -1), self._no_decoder_state(B)
        own = empty.index_copy(0, torch.cat(places), torch.cat(outputs).to(empty.dtype))
        states = tuple(
            none.index_copy(1, torch.cat(ended), torch.cat(parts, dim=1).to(none.dtype))
            for none, parts in zip(
                self._no_decoder_state(B), zip(*finals, strict=True), strict=True
            )
        )
        return own.view(B, N, -1), states

    def _starts(self, source: Tensor, rows: Tensor, opened: Tensor, first: Tensor) -> State:
        """The states that lines begin with, (L, n, H) each.

        Args:
            source: (B, N, D).
            rows: (n,), whose lines they are.
            opened: (n,), the last token of each one's source.
            first: (n,), the first token of the last line of that source.
        """
        if self.bridge is None:
            return ()
        H, L = self.config.hidden_size, self.config.num_layers
        ends = source[rows, opened]  # (n, D)
        if self.encoder.back is not None:
            ends = torch.cat((ends[:, :H], source[rows, first][:, H:]), dim=1)
        start = torch.tanh(self.bridge(ends)).to(self.embedding.weight.dtype)  # (n, states·L·H)
        return tuple(
            part.reshape(-1, L, H).transpose(0, 1).contiguous()
            for part in start.chunk(self._cell.states, dim=1)
        )

    def _no_decoder_state(self, n: int) -> State:
        config = self.config
        none = self.embedding.weight.new_zeros(config.num_layers, n, config.hidden_size)
        return (none,) * self._cell.states

    # One token at a time ------------------------------------------------------------------------

    def _step(self, tokens: Tensor, before: _Written) -> tuple[Tensor, _Written]:
        """Read one token a row, (B,): as `hidden` does, (B, H + D)."""
        count = before.own + 1
        so_far = _grown(before.ids, int(count.max()))
        so_far = so_far.scatter(0, before.own, tokens.unsqueeze(0))
        source, size, decoder = before.source, before.size, before.decoder
        opening = torch.isin(tokens, self._openers).nonzero().squeeze(1)  # rows, (k,)
        if len(opening):
            size = size.index_copy(1, opening, count[:, opening])
            longest = int(size.max())
            encoded, starts = self._encoded(so_far[:, opening].t(), count[0, opening])
            source = _grown(source, longest).index_copy(1, opening, _grown(encoded, longest))
            decoder = tuple(
                old.index_copy(1, opening, new) for old, new in zip(decoder, starts, strict=True)
            )
        begun = size > 0  # (1, B)
        if not begun.any():
            F = self.config.hidden_size + self.encoder.output_size
            nothing = self.embedding.weight.new_zeros(len(tokens), F)
            return nothing, _Written(so_far, count, source, size, decoder)
        inputs = self.embedding(tokens).unsqueeze(1)  # (B, 1, E)
        own, after = self.decoder(inputs, _as_torch_has_it(decoder))  # (B, 1, H)
        decoder = tuple(
            torch.where(begun.unsqueeze(2), new, old)
            for old, new in zip(decoder, _as_tuple(after), strict=True)
        )
        visible = torch.arange(len(source), device=size.device) < size.clamp(min=1).t()  # (B, S)
        taken, _ = self.attention(own, source.transpose(0, 1), visible.unsqueeze(1))
        hidden = torch.cat((own, taken), dim=2).squeeze(1) * begun.t()
        return hidden, _Written(so_far, count, source, size, decoder)

    def _encoded(self, ids: Tensor, count: Tensor) -> tuple[Tensor, State]:
        """Read sources, (k, N), whose last tokens of their own, of `count`, (k,), open a line.

        Returns:
            The sources, (N, k, D), and the states that their lines begin with.
        """
        lines = _lines_of(torch.isin(ids, self._openers))
        source = self.encoder.run(self.embedding(ids), lines.turned)  # (k, N, D)
        rows, opened = torch.arange(len(ids), device=ids.device), count - 1
        starts = self._starts(source, rows, opened, lines.first[rows, opened])
        return source.transpose(0, 1), starts


class _Lines(NamedTuple):
    """Where the lines of some texts are; (B, N) each.

    Attributes:
        opens: bool, the tokens with which one ends and the next begins.
        opener: int64, of each token the last of those up to it; -1 before the first.
        first: int64, of each token where the line that it ends or stands in begins.
        turned: int64, each line's places turned round.
    """

    opens: Tensor
    opener: Tensor
    first: Tensor
    turned: Tensor


def _lines_of(opens: Tensor) -> _Lines:
    """Find the lines, by the tokens that end them, (B, N) bool.

    Of a b C d E f g, of which C and E end one: first 0 0 0 3 3 5 5, turned 2 1 0 4 3 6 5.
    """
    N = opens.shape[1]
    places = torch.arange(N, device=opens.device).expand_as(opens)
    opener = torch.where(opens, places, -1).cummax(dim=1).values
    first = functional.pad(opener[:, :-1], (1, 0), value=-1) + 1
    closer = torch.where(opens, places, N - 1).flip(1).cummin(dim=1).values.flip(1)
    return _Lines(opens, opener, first, first + closer - places)


def _packed(written: _Written) -> State:
    return (*written[:-1], *written.decoder)


def _unpacked(state: State) -> _Written:
    ids, own, source, size, *decoder = state
    return _Written(ids, own, source, size, tuple(decoder))


def _grown(tensor: Tensor, size: int) -> Tensor:
    """As many rows as asked for: the first ones, or zeros after them."""
    kept = tensor[:size]
    return functional.pad(kept, (0, 0) * (tensor.dim() - 1) + (0, size - len(kept)))


def _as_torch_has_it(state: State) -> Tensor | State:
    """A state of one array is bare."""
    return state[0] if len(state) == 1 else state


def _as_tuple(state: Tensor | State) -> State:
    return (state,) if isinstance(state, Tensor) else state
