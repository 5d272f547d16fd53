// The run of an op, for those who look at what ops cost and give (attnkit/profile.h).
#pragma once

#include <initializer_list>
#include <memory>
#include <vector>

#include "attnkit/kernels.h"
#include "attnkit/profile.h"
#include "attnkit/tensor.h"

namespace attnkit {

// Stands first in an op. `inputs` may be undefined; they outlive the scope. All must lie on one device and be float32,
// but for weights that the op only packs or looks up, which may be bfloat16: otherwise it throws std::invalid_argument.
// What the op makes is seen where it is made.
class OpScope {
 public:
  OpScope(const char* op, std::initializer_list<const Tensor*> inputs,
          std::initializer_list<const Tensor*> weights = {}) {
    const Context* context = nullptr;
    for (const Tensor* input : inputs) Check(op, *input, false, context);
    for (const Tensor* weight : weights) Check(op, *weight, true, context);
    if (!internal::Watching()) return;
    Begin(op);
    for (const Tensor* input : inputs) Read(*input);
    for (const Tensor* weight : weights) Read(*weight);
  }
  OpScope(const char* op, const std::vector<Tensor>& inputs) {
    const Context* context = nullptr;
    for (const Tensor& input : inputs) Check(op, input, false, context);
    if (!internal::Watching()) return;
    Begin(op);
    for (const Tensor& input : inputs) Read(input);
  }
  // Of an op's backward, which may read what the op read: that is not counted, since it need not.
  OpScope(const char* op, const std::vector<Tensor>& output_gradients, const std::vector<Tensor>& inputs);
  // Throws std::runtime_error for the first op that gave NaN, when that is asked for.
  ~OpScope() noexcept(false);
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

  // That memory was made by the op that runs in this thread.
  static void Made(const std::shared_ptr<Storage>& storage) {
    if (internal::Watching()) NoteMade(storage);
  }

 private:
  struct Watched;

  static void Check(const char* op, const Tensor& input, bool any_type, const Context*& context) {
    if (!input) return;
    if (!context) context = &input.context();
    if (&input.context() != context || (!any_type && input.dtype() != DType::kFloat32)) Refuse(op, input, *context);
  }
  [[noreturn]] static void Refuse(const char* op, const Tensor& input, const Context& context);

  void Begin(std::string op);
  void Read(const Tensor& input);
  void Keep(const Tensor& input);
  void End();
  static void NoteMade(const std::shared_ptr<Storage>& storage);

  std::shared_ptr<Watched> watched_;  // null while nobody watches
};

}  // namespace attnkit
