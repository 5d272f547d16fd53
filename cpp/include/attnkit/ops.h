// Differentiable ops. Each checks its shapes, runs a kernel, and records its backward when an input needs a gradient.
//
// A group of ops has one header in ops/, which includes what its declarations name and no other group. Code that uses
// an op includes its group; this header is all of them, for programs that use many.
//
// Sizes: B batch, H heads, N queries, M keys, D head size, T packed tokens, V vocabulary. A mismatch throws
// std::invalid_argument: "[op] expected ..., got ...".
#pragma once

#include "attnkit/ops/arithmetic.h"
#include "attnkit/ops/attention.h"
#include "attnkit/ops/decoding.h"
#include "attnkit/ops/indices.h"
#include "attnkit/ops/loss.h"
#include "attnkit/ops/product.h"
#include "attnkit/ops/ragged.h"
#include "attnkit/ops/recurrent.h"
#include "attnkit/ops/rows.h"
#include "attnkit/ops/shape.h"
#include "attnkit/ops/vision.h"
