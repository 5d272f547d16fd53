// The tape: every op that saw a tensor with requires_grad leaves a Node; Backward runs the nodes in reverse.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "attnkit/tensor.h"

namespace attnkit {

// Gradients of a node's outputs (an undefined Tensor where none arrived) in, gradients of its inputs out (undefined
// where not needed). May take the incoming tensors as its own and write into them when it is their only holder.
using BackwardFunction = std::function<std::vector<Tensor>(std::vector<Tensor>& output_gradients)>;

class Node {
 public:
  Node(const char* name, std::vector<Tensor> inputs, std::vector<Shape> output_shapes, BackwardFunction backward);
  ~Node();

  const char* name() const { return name_; }
  uint64_t sequence() const { return sequence_; }
  bool released() const { return !backward_; }
  const std::vector<Tensor>& inputs() const { return inputs_; }
  const std::vector<Shape>& output_shapes() const { return output_shapes_; }
  std::vector<Tensor> Run(std::vector<Tensor>& output_gradients);
  // Frees what was saved for backward.
  void Release();

 private:
  const char* name_;
  uint64_t sequence_;
  std::vector<Tensor> inputs_;
  std::vector<Shape> output_shapes_;
  BackwardFunction backward_;
};

// True while ops are recorded in this thread (see NoGrad).
bool GradEnabled();
void SetGradEnabled(bool enabled);

class NoGrad {
 public:
  NoGrad() : before_(GradEnabled()) { SetGradEnabled(false); }
  ~NoGrad() { SetGradEnabled(before_); }

 private:
  bool before_;
};

// Does any of these need a gradient, and are ops recorded?
bool NeedsGrad(const std::vector<Tensor>& inputs);

// What an op keeps of a tensor for its backward, outside the tape: its numbers, as they are.
Tensor Kept(const Tensor& x);
// The same where backward reads them as a product of this precision does, or to no more than that: in bfloat16 where
// nobody else has to keep the float32 numbers.
Tensor KeptAs(kernels::Precision precision, const Tensor& x);

// Makes `outputs` the results of a node. `backward` must not hold the outputs themselves, which would keep each other
// alive: hold output.Detach(). Call only when NeedsGrad(inputs).
void Record(const char* name, std::vector<Tensor> inputs, std::vector<Tensor*> outputs, BackwardFunction backward);

// Adds the gradient of `root` (ones for a scalar when `gradient` is undefined) with respect to each leaf to its grad.
// Saved values are freed on the way. Throws std::runtime_error when part of the graph was freed by an earlier call.
// `on_ready` is called with a leaf once its gradient will not change any more, while the rest of the graph is still to
// come; leaves that no gradient reaches are never ready. A backward function that calls Backward itself must not reach
// leaves that other nodes read.
using OnReady = std::function<void(const Tensor& leaf)>;
void Backward(const Tensor& root, Tensor gradient, const OnReady& on_ready = nullptr);

// The gradient of a leaf to add to in place (zeros at first). Only for the backward functions of sparse ops such as
// embedding.
Tensor LeafGradient(const Tensor& leaf);

// The same for any tensor: what a node that runs in Backward adds to in place instead of returning a gradient for that
// input. A memory that many nodes read is then written once by each, and never copied. For a tensor that is not a leaf,
// only to be called by a backward function, for one of its node's inputs.
Tensor GradientInPlace(const Tensor& input);

}  // namespace attnkit
