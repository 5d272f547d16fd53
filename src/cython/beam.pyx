# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The bookkeeping of text search, for a whole batch a call: constraints, beams, finished hypotheses, sampling.

A step is the rules of the search, then candidates for every row, then `extend`. Where the model's output layer gives the
best tokens alone, `ask` says what it needs to know and `settle` takes the answer; where all log-probabilities are there,
`constrain` applies the same rules to them in place, and the candidates are the top k or one `sample`. Nothing here looks
across sentences, scores are summed in float64 in the order of the tokens, and ties go to the lower row and then the lower
token: a sentence's result does not depend on its batch.
"""

from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, exp, isnan, log1p, pow
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import numpy as np


cdef extern from "attnkit/random.h" namespace "attnkit" nogil:
    cdef struct PhiloxKey:
        uint64_t seed
        uint64_t stream
    void PhiloxBlock(PhiloxKey key, uint64_t index, uint32_t* out)


# Forbidden tokens can have all of the probability, to rounding; the logarithm of what is left then stays finite.
cdef double LARGEST_SHARE = 1.0 - 2.0**-52


cdef class Search:
    """The hypotheses of B sentences, live and finished, by the rules of `options` (DecodingOptions).

    A sentence has `beam` places. Every step keeps its best continuations, one a free place; a continuation by the end
    token is finished and holds its place from then on, so beam 1 is greedy search. A sentence is over when no
    hypothesis is live, or when none of the live ones can still reach the score of the nbest-th finished one: a
    log-probability only falls, so s / penalty(longest) bounds what a live hypothesis of log-probability s can reach.

    With `refill`, the rules of Hugging Face transformers: 2 · beam continuations compete, the best `beam` live ones go on
    whatever has finished, and those among the first `beam` that end join the finished ones, of which the best `beam` are
    kept. A sentence is over when `beam` are finished and the best live one, at its present length (with early_stopping
    "never" and a penalty that favours length at the greatest), scores no better than the worst of them; with
    early_stopping True as soon as `beam` are finished. An end that is forced by the length costs nothing; without
    `forced_end` none is written, and the last token that the length allows ends the output, whose length is counted so.

    With `renormalize`, what a row may write is a distribution again after tokens were forbidden.

    max_lengths [B]; prefix_ids and prefix_offsets [B + 1] force how a sentence begins; suppressed tokens are never
    written (except by a prefix). `eos` is the end token.
    """

    cdef readonly int step  # tokens written so far by every live hypothesis
    cdef readonly int rows  # live hypotheses
    cdef readonly int sentences  # sentences that have live hypotheses
    cdef readonly bint moved  # the last `extend` did not leave every row in its place
    cdef readonly int candidates  # that `extend` needs of each row to lose nothing
    cdef int beam, nbest, enough, eos, min_length, ngram
    cdef double alpha
    cdef bint gnmt, refill, renormalize, forced_end
    # Whether `enough` finished hypotheses end a sentence whatever the live ones could reach; whether those are judged by
    # the most that they could reach at any length, or at their present one.
    cdef bint stops_at_enough, looks_ahead
    cdef int32_t[::1] max_lengths, prefix_ids, prefix_offsets, suppressed
    # Live rows, those of one sentence adjacent: sentence i of the live ones owns rows first[i] to first[i + 1].
    cdef int32_t[::1] active, first, parents, heads
    cdef double[::1] totals, next_totals
    cdef float[::1] eos_log_probs
    cdef double[::1] forbidden  # the probability of the tokens that a row may not write, by which it is renormalised
    cdef uint8_t[::1] cut
    # The rules for row r: the tokens ids[asked[r] : asked[r + 1]], rising, of which the excluded may not be written; and
    # the one token that it must write, or -1.
    cdef int32_t[::1] asked, ids, forced
    cdef uint8_t[::1] excluded
    cdef int32_t[:, ::1] tokens, next_tokens, trail, next_trail  # trail: the row that wrote each token
    # Finished hypotheses: place p of sentence b is row b * beam + p.
    cdef int32_t[::1] finished, done_lengths
    cdef double[::1] done_totals, done_scores
    cdef uint8_t[::1] done_cut
    cdef int32_t[:, ::1] done_tokens, done_trail

    def __init__(self, options, *, int eos, int32_t[::1] max_lengths, int32_t[::1] prefix_ids,
                 int32_t[::1] prefix_offsets, int32_t[::1] suppressed):
        cdef int batch = max_lengths.shape[0]
        cdef int width = max(1, np.max(max_lengths)) if batch else 1
        self.beam, self.nbest, self.min_length = options.beam, options.nbest, options.min_length
        self.ngram, self.alpha, self.renormalize = options.no_repeat_ngram, options.length_penalty, options.renormalize
        self.gnmt, self.refill = options.normalization == "gnmt", options.rules == "transformers"
        self.eos, self.forced_end = eos, options.forced_end
        self.enough = self.beam if self.refill else self.nbest
        self.stops_at_enough = options.early_stopping == True
        self.looks_ahead = not self.refill or (options.early_stopping == "never" and self.alpha > 0)
        # Where one hypothesis is followed, its best continuation decides by either rule.
        self.candidates = 2 * self.beam if self.refill and self.beam > 1 else self.beam
        self.max_lengths, self.prefix_ids, self.prefix_offsets = max_lengths, prefix_ids, prefix_offsets
        # Not np.unique, which would import numpy.ma: some 25 ms of the first translation.
        self.suppressed = np.array(sorted(set(np.asarray(suppressed).tolist())), np.int32)
        self.step, self.rows, self.sentences = 0, batch, batch
        self.active = np.arange(batch, dtype=np.int32)
        self.first = np.arange(batch + 1, dtype=np.int32)
        self.finished = np.zeros(batch, np.int32)
        capacity = batch * self.beam
        self.parents, self.heads = np.zeros((2, capacity), np.int32)
        self.totals, self.next_totals = np.zeros((2, capacity))
        self.eos_log_probs = np.zeros(capacity, np.float32)
        self.forbidden = np.zeros(capacity)
        self.cut, self.done_cut = np.zeros((2, capacity), np.uint8)
        self.asked, self.forced = np.zeros((2, capacity + 1), np.int32)
        self.tokens, self.next_tokens, self.trail, self.next_trail = np.empty((4, capacity, width), np.int32)
        self.done_tokens, self.done_trail = np.empty((2, capacity, width), np.int32)
        self.done_lengths = np.zeros(capacity, np.int32)
        self.done_totals, self.done_scores = np.zeros((2, capacity))

    def last_tokens(self):
        """The token that each live row wrote last, [rows]."""
        return np.array(self.tokens[: self.rows, self.step - 1])

    def row_sentences(self):
        """The sentence of each live row, [rows]."""
        found = np.empty(self.rows, np.int32)
        cdef int32_t[::1] sentences = found
        cdef int i, row
        for i in range(self.sentences):
            for row in range(self.first[i], self.first[i + 1]):
                sentences[row] = self.active[i]
        return found

    def ask(self):
        """What `settle` must be told besides the best tokens: (offsets [rows + 1], ids, excluded).

        ids[offsets[r] : offsets[r + 1]], rising, are tokens of row r whose log-probabilities are asked for; those that are
        `excluded` may not be among its candidates.
        """
        self._make_rules()
        count = self.asked[self.rows]
        return (np.asarray(self.asked[: self.rows + 1]), np.asarray(self.ids[:count]),
                np.asarray(self.excluded[:count]))

    def settle(self, float[:, ::1] values, int32_t[:, ::1] indices, const float[::1] asked_values):
        """Takes the answer to `ask`: the best tokens of each row [rows, k] (edited where one is forced), and the values.

        Returns a sentence whose log-probabilities are NaN, or -1.
        """
        if values.shape[0] != self.rows or asked_values.shape[0] != self.asked[self.rows]:
            raise ValueError(f"[decode] expected candidates of {self.rows} rows, got {values.shape[0]}")
        cdef int i, row, bad = -1
        cdef Py_ssize_t c
        with nogil:
            for i in range(self.sentences):
                for row in range(self.first[i], self.first[i + 1]):
                    if not self._note(self.active[i], row, &asked_values[0] + self.asked[row], indices[row, 0]):
                        bad = self.active[i]
                    elif self.forced[row] >= 0:
                        values[row, 0] = self._forced_value(self.active[i], row, &asked_values[0] + self.asked[row])
                        indices[row, 0] = self.forced[row]
                        for c in range(1, values.shape[1]):
                            values[row, c] = -INFINITY
        return bad

    def constrain(self, float[:, ::1] log_probs):
        """Sets what a row may not write to -inf, in place; log_probs [rows, V].

        Returns a sentence whose log-probabilities are NaN, or -1.
        """
        if log_probs.shape[0] != self.rows:
            raise ValueError(f"[decode] expected log_probs of {self.rows} rows, got {log_probs.shape[0]}")
        self._make_rules()
        cdef float[::1] values = np.empty(max(1, self.ids.shape[0]), np.float32)
        cdef int i, row, best, j, bad = -1
        cdef float value
        with nogil:
            for i in range(self.sentences):
                for row in range(self.first[i], self.first[i + 1]):
                    for j in range(self.asked[row], self.asked[row + 1]):
                        values[j] = log_probs[row, self.ids[j]]
                    # Only a row that has come to its limit wants to know its best token.
                    best = argmax(&log_probs[row, 0], log_probs.shape[1]) if self.forced[row] == self.eos else -1
                    if not self._note(self.active[i], row, &values[0] + self.asked[row], best):
                        bad = self.active[i]
                    elif self.forced[row] >= 0:
                        value = self._forced_value(self.active[i], row, &values[0] + self.asked[row])
                        force(&log_probs[row, 0], log_probs.shape[1], self.forced[row], value)
                    else:
                        for j in range(self.asked[row], self.asked[row + 1]):
                            if self.excluded[j]:
                                log_probs[row, self.ids[j]] = -INFINITY
        return bad

    cdef _make_rules(self):
        cdef int most = self.suppressed.shape[0] + 2 + (self.step if self.ngram > 0 else 0)
        cdef int i, row
        self.ids = np.empty(self.rows * most, np.int32)
        self.excluded = np.empty(self.rows * most, np.uint8)
        with nogil:
            for i in range(self.sentences):
                for row in range(self.first[i], self.first[i + 1]):
                    self.asked[row + 1] = self.asked[row]
                    self._make_rules_of(self.active[i], row)

    cdef void _make_rules_of(self, int sentence, int row) noexcept nogil:
        cdef int prefix = self.prefix_offsets[sentence], prefix_end = self.prefix_offsets[sentence + 1]
        cdef int i
        self.forced[row] = -1
        if prefix + self.step < prefix_end:
            self.forced[row] = self.prefix_ids[prefix + self.step]
            self._ask_for(row, self.forced[row], 0)
            self._ask_for(row, self.eos, 0)
        elif self._at_limit(sentence):
            self.forced[row] = self.eos
            self._ask_for(row, self.eos, 0)
        else:
            for i in range(self.suppressed.shape[0]):
                self._ask_for(row, self.suppressed[i], 1)
            self._ask_for(row, self.eos, self.step < self.min_length)
            if self.ngram > 0:
                self._forbid_repeats(row)

    cdef bint _at_limit(self, int sentence) noexcept nogil:
        cdef int prefix_length = self.prefix_offsets[sentence + 1] - self.prefix_offsets[sentence]
        return self.step >= self.max_lengths[sentence] and self.step >= prefix_length

    cdef void _ask_for(self, int row, int32_t token, bint excluded) noexcept nogil:
        """Adds a token to the last row of the rules, in its place; a token is asked for once."""
        cdef int place = self.asked[row + 1], j
        while place > self.asked[row] and self.ids[place - 1] > token:
            place -= 1
        if place > self.asked[row] and self.ids[place - 1] == token:
            self.excluded[place - 1] |= excluded
            return
        for j in range(self.asked[row + 1], place, -1):
            self.ids[j] = self.ids[j - 1]
            self.excluded[j] = self.excluded[j - 1]
        self.ids[place] = token
        self.excluded[place] = excluded
        self.asked[row + 1] += 1

    cdef void _forbid_repeats(self, int row) noexcept nogil:
        """Forbids each token that would complete an n-gram of the history a second time."""
        cdef const int32_t* history = &self.tokens[row, 0]
        cdef int context = self.ngram - 1
        cdef int start, i
        for start in range(self.step - context):
            for i in range(context):
                if history[start + i] != history[self.step - context + i]:
                    break
            else:
                self._ask_for(row, history[start + context], 1)

    cdef bint _note(self, int sentence, int row, const float* values, int best) noexcept nogil:
        """Keeps what `extend` needs to know of a row: `values` of the tokens asked for, its best token. False for NaN."""
        cdef int i, first = self.asked[row]
        self.forbidden[row] = 0.0
        for i in range(self.asked[row + 1] - first):
            if self.ids[first + i] == self.eos:
                self.eos_log_probs[row] = values[i]
            if self.excluded[first + i]:
                self.forbidden[row] += exp(values[i])
        # The output is cut unless the model would have ended here by itself.
        self.cut[row] = self._at_limit(sentence) and best != self.eos
        return not isnan(self.eos_log_probs[row])  # a row of a softmax is NaN as a whole

    cdef float _forced_value(self, int sentence, int row, const float* values) noexcept nogil:
        cdef int i, first = self.asked[row]
        if self.refill and self._at_limit(sentence):
            return 0.0
        for i in range(self.asked[row + 1] - first):
            if self.ids[first + i] == self.forced[row]:
                return max(values[i], -FLT_MAX)  # forced even where the model finds it impossible
        return -FLT_MAX

    def extend(self, const float[:, ::1] values, const int32_t[:, ::1] indices):
        """Moves every sentence on by one token, and returns the parent row of every row that lives on.

        values and indices [rows, k]: the candidates of each row, best first. k >= candidates loses nothing; one
        sampled candidate a row will do where beam is 1.
        """
        if values.shape[0] != self.rows or indices.shape[0] != self.rows or values.shape[1] != indices.shape[1]:
            raise ValueError(f"[decode] expected candidates of {self.rows} rows, got {values.shape[0]}")
        cdef int i, sentence, rows, live_rows = 0, live_sentences = 0, before = self.rows
        with nogil:
            if self.renormalize:
                for i in range(self.rows):
                    self.totals[i] -= log1p(-min(self.forbidden[i], LARGEST_SHARE))
            for i in range(self.sentences):
                sentence = self.active[i]
                rows = self._extend_sentence(sentence, self.first[i], self.first[i + 1], live_rows, values, indices)
                if rows and not self._is_over(sentence, self.next_totals[live_rows]):
                    # No more sentences live on than have been read, so these writes never overtake the reads.
                    self.active[live_sentences] = sentence
                    self.first[live_sentences] = live_rows
                    live_sentences += 1
                    live_rows += rows
            self.first[live_sentences] = live_rows
            self.moved = live_rows != before
            for i in range(live_rows):
                self.moved |= self.parents[i] != i
        self.sentences, self.rows = live_sentences, live_rows
        self.step += 1
        self.totals, self.next_totals = self.next_totals, self.totals
        self.tokens, self.next_tokens = self.next_tokens, self.tokens
        self.trail, self.next_trail = self.next_trail, self.trail
        return np.array(self.parents[:live_rows])

    cdef int _extend_sentence(self, int sentence, int begin, int end, int target, const float[:, ::1] values,
                              const int32_t[:, ::1] indices) noexcept nogil:
        """Merges the sorted candidates of rows [begin, end); survivors go to rows from `target` on. Returns how many."""
        cdef int places = 2 * self.beam if self.refill else self.beam - self.finished[sentence]
        cdef int longest = self.max_lengths[sentence], taken = 0, kept = 0, row, best
        cdef int32_t token
        cdef double total, best_total
        for row in range(begin, end):
            self.heads[row] = 0
        while taken < places and kept < self.beam:
            best, best_total = -1, -INFINITY
            for row in range(begin, end):
                if self.heads[row] < values.shape[1]:
                    total = self.totals[row] + values[row, self.heads[row]]
                    if total > best_total:
                        best, best_total = row, total
            if best < 0:
                break
            token = indices[best, self.heads[best]]
            self.heads[best] += 1
            taken += 1
            if self.step >= longest:  # `constrain` allows no other; were it left out, this keeps within the buffers
                token = self.eos
            if token == self.eos or self.step + 1 >= longest + self.forced_end:
                if taken <= self.beam:
                    self._finish(sentence, best, best_total, token, token != self.eos or self.cut[best])
            else:
                self._keep(best, target + kept, best_total, token)
                kept += 1
        if taken == 0:  # the constraints contradict each other and leave no token: the output ends here
            for row in range(begin, min(end, begin + places)):
                self._finish(sentence, row, self.totals[row] + self.eos_log_probs[row], self.eos, 1)
        return kept

    cdef void _keep(self, int parent, int row, double total, int32_t token) noexcept nogil:
        memcpy(&self.next_tokens[row, 0], &self.tokens[parent, 0], self.step * sizeof(int32_t))
        memcpy(&self.next_trail[row, 0], &self.trail[parent, 0], self.step * sizeof(int32_t))
        self.next_tokens[row, self.step] = token
        self.next_trail[row, self.step] = parent
        self.next_totals[row] = total
        self.parents[row] = parent

    cdef void _finish(self, int sentence, int row, double total, int32_t token, uint8_t cut) noexcept nogil:
        """The row's output ends by `token`, and has it where that is not the end token."""
        cdef double score = total / self._penalty(self.step + 1)
        cdef int place = self._place(sentence, score)
        if place < 0:
            return
        memcpy(&self.done_tokens[place, 0], &self.tokens[row, 0], self.step * sizeof(int32_t))
        memcpy(&self.done_trail[place, 0], &self.trail[row, 0], self.step * sizeof(int32_t))
        self.done_lengths[place] = self.step
        if token != self.eos:
            self.done_tokens[place, self.step], self.done_trail[place, self.step] = token, row
            self.done_lengths[place] += 1
        self.done_totals[place] = total
        self.done_scores[place] = score
        self.done_cut[place] = cut

    cdef int _place(self, int sentence, double score) noexcept nogil:
        """Where a finished hypothesis goes: a free place or that of the worst one, if that is worse; else -1."""
        cdef int place
        if self.finished[sentence] < self.beam:
            self.finished[sentence] += 1
            return sentence * self.beam + self.finished[sentence] - 1
        place = self._worst(sentence)
        return place if score > self.done_scores[place] else -1

    cdef int _worst(self, int sentence) noexcept nogil:
        """The place of the finished hypothesis with the lowest score."""
        cdef int worst = sentence * self.beam, place
        for place in range(worst + 1, sentence * self.beam + self.finished[sentence]):
            if self.done_scores[place] < self.done_scores[worst]:
                worst = place
        return worst

    cdef double _penalty(self, int length) noexcept nogil:
        return pow((5.0 + length) / 6.0 if self.gnmt else <double>length, self.alpha)

    cdef bint _is_over(self, int sentence, double best_live) noexcept nogil:
        cdef int count = self.finished[sentence], place, better = 0
        cdef int longest = self.max_lengths[sentence] + self.forced_end
        cdef double bound
        if count < self.enough or self.stops_at_enough:
            return count >= self.enough
        bound = best_live / self._penalty(longest if self.looks_ahead else self.step + 1)
        for place in range(sentence * self.beam, sentence * self.beam + count):
            better += self.done_scores[place] >= bound
        return better >= self.enough

    def results(self, int sentence):
        """The nbest finished hypotheses: (tokens, the row that wrote each, log-probability, score, cut), best first."""
        begin, count = sentence * self.beam, self.finished[sentence]
        order = np.argsort(-np.asarray(self.done_scores[begin : begin + count]), kind="stable")[: self.nbest]
        return [self._result(begin + int(place)) for place in order]

    def _result(self, int place):
        cdef int length = self.done_lengths[place]
        return (
            np.array(self.done_tokens[place, :length]), np.array(self.done_trail[place, :length]),
            self.done_totals[place], self.done_scores[place], bool(self.done_cut[place]),
        )


cdef void force(float* log_probs, Py_ssize_t vocabulary, int32_t token, float value) noexcept nogil:
    """Leaves `token` alone possible."""
    cdef Py_ssize_t i
    for i in range(vocabulary):
        log_probs[i] = -INFINITY
    log_probs[token] = value


cdef int argmax(const float* x, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i, best = 0
    for i in range(1, count):
        if x[i] > x[best]:
            best = i
    return <int>best


def sample(const float[:, ::1] log_probs, const int64_t[::1] streams, int step, options):
    """Draws one token a row, from the tokens that top_k and then top_p of `options` (DecodingOptions) leave. Returns
    values and indices [rows, 1].

    log_probs [rows, V] after `constrain`; the values are the model's own log-probabilities, before the temperature. Row r
    uses number `step` of the Philox stream (seed, streams[r]).
    """
    cdef uint64_t seed = options.seed
    cdef double temperature = options.temperature, top_p = options.top_p
    cdef int top_k = options.top_k
    cdef Py_ssize_t rows = log_probs.shape[0], vocabulary = log_probs.shape[1], row
    cdef float[:, ::1] values = np.empty((rows, 1), np.float32)
    cdef int32_t[:, ::1] indices = np.empty((rows, 1), np.int32)
    cdef double[::1] weights = np.empty(vocabulary)
    cdef int32_t[::1] order = np.empty(vocabulary, np.int32)
    cdef int32_t token
    with nogil:
        for row in range(rows):
            token = sample_row(&log_probs[row, 0], vocabulary, uniform(seed, streams[row], step), temperature, top_k,
                               top_p, &weights[0], &order[0])
            indices[row, 0] = token
            values[row, 0] = log_probs[row, token]
    return np.asarray(values), np.asarray(indices)


cdef double uniform(uint64_t seed, uint64_t stream, uint64_t index) noexcept nogil:
    """A number in [0, 1) of 53 bits."""
    cdef uint32_t[4] words
    cdef PhiloxKey key
    key.seed, key.stream = seed, stream
    PhiloxBlock(key, index, words)
    return ((<uint64_t>words[0] << 21) ^ (words[1] >> 11)) * (1.0 / 9007199254740992.0)


cdef int32_t sample_row(const float* log_probs, Py_ssize_t vocabulary, double number, double temperature, int top_k,
                        double top_p, double* weights, int32_t* order) noexcept nogil:
    cdef double peak = log_probs[argmax(log_probs, vocabulary)], total = 0.0
    cdef Py_ssize_t i, count = vocabulary
    cdef int32_t token = 0
    if peak == -INFINITY:
        return token  # nothing is possible; `extend` sees the value and ends the output
    for i in range(vocabulary):
        weights[i] = exp((log_probs[i] - peak) / temperature)
        order[i] = <int32_t>i
        total += weights[i]
    if top_k > 0 or top_p < 1.0:
        count = select_top(log_probs, weights, vocabulary, top_k, top_p, &total, order)
    number *= total
    for i in range(vocabulary - 1, vocabulary - 1 - count, -1):
        if weights[order[i]] > 0.0:
            token = order[i]  # where rounding leaves a remainder, the last token of any weight has it
            number -= weights[token]
            if number < 0.0:
                break
    return token


cdef Py_ssize_t select_top(const float* log_probs, const double* weights, Py_ssize_t vocabulary, int top_k, double top_p,
                           double* total, int32_t* order) noexcept nogil:
    """Sorts the chosen tokens to the end of `order`, the likeliest last; sets their total weight, returns their number.

    A heap gives the likeliest one by one: a nucleus is a few tokens of many thousand.
    """
    cdef Py_ssize_t limit = min(<Py_ssize_t>top_k, vocabulary) if top_k > 0 else vocabulary
    cdef Py_ssize_t popped = 0, count = 0, i
    cdef double mass = 0.0
    for i in range(vocabulary // 2 - 1, -1, -1):
        sift_down(log_probs, order, i, vocabulary)
    if top_k > 0:
        while popped < limit:
            popped += 1
            pop_to_end(log_probs, order, vocabulary - popped)
            mass += weights[order[vocabulary - popped]]
        total[0] = mass
    if top_p >= 1.0:
        return popped
    mass = 0.0
    while count < limit and (count == 0 or mass < top_p * total[0]):
        count += 1
        if count > popped:
            popped += 1
            pop_to_end(log_probs, order, vocabulary - popped)
        mass += weights[order[vocabulary - count]]
    total[0] = mass
    return count


cdef inline bint is_before(const float* log_probs, int32_t a, int32_t b) noexcept nogil:
    return log_probs[a] > log_probs[b] or (log_probs[a] == log_probs[b] and a < b)


cdef void pop_to_end(const float* log_probs, int32_t* heap, Py_ssize_t last) noexcept nogil:
    """Swaps the best of heap[0 .. last] to place `last`, and leaves a heap before it."""
    cdef int32_t best = heap[0]
    heap[0] = heap[last]
    heap[last] = best
    sift_down(log_probs, heap, 0, last)


cdef void sift_down(const float* log_probs, int32_t* heap, Py_ssize_t i, Py_ssize_t count) noexcept nogil:
    cdef int32_t moving = heap[i]
    cdef Py_ssize_t child
    while 2 * i + 1 < count:
        child = 2 * i + 1
        if child + 1 < count and is_before(log_probs, heap[child + 1], heap[child]):
            child += 1
        if not is_before(log_probs, heap[child], moving):
            break
        heap[i] = heap[child]
        i = child
    heap[i] = moving
