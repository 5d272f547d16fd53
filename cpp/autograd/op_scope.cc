#include "attnkit/op_scope.h"

#include <exception>
#include <stdexcept>
#include <utility>

#include "attnkit/check.h"

namespace attnkit {

struct OpScope::Watched : internal::OpFrame {
  std::vector<Tensor> inputs;                // kept only where NaN is looked for
  std::vector<std::weak_ptr<Storage>> made;  // likewise
};

OpScope::~OpScope() noexcept(false) {
  if (watched_) End();
}

OpScope::OpScope(const char* op, const std::vector<Tensor>& output_gradients, const std::vector<Tensor>& inputs) {
  if (!internal::Watching()) return;
  Begin(std::string(op) + " backward");
  for (const Tensor& gradient : output_gradients) Read(gradient);
  for (const Tensor& input : inputs) Keep(input);
}

void OpScope::Refuse(const char* op, const Tensor& input, const Context& context) {
  ATTNKIT_CHECK(&input.context() == &context, "[", op, "] expected all tensors on one device, got ", context.device(),
                " and ", input.context().device());
  Fail("[", op, "] expected float32, got ", NameOf(input.dtype()), "; to(\"float32\") converts it");
}

void OpScope::Begin(std::string op) {
  watched_ = std::make_shared<Watched>();
  watched_->cost.op = std::move(op);
  internal::EnterOp(*watched_);
}

void OpScope::Read(const Tensor& input) {
  if (input) watched_->cost.bytes += static_cast<double>(input.bytes());
  Keep(input);
}

void OpScope::Keep(const Tensor& input) {
  if (!input || input.dtype() != DType::kFloat32 || !(internal::Watching() & internal::kCheckingNan)) return;
  if (input.storage().size() < input.size()) return;  // a place in a graph that was made before anybody looked for NaN
  watched_->inputs.push_back(input.Detach());
}

void OpScope::NoteMade(const std::shared_ptr<Storage>& storage) {
  auto* op = static_cast<Watched*>(internal::RunningOp());
  if (!op) return;
  op->cost.bytes += static_cast<double>(storage->size() * BytesOf(storage->dtype()));
  if (internal::Watching() & internal::kCheckingNan) op->made.push_back(storage);
}

void OpScope::End() {
  const std::shared_ptr<Watched> op = std::move(watched_);
  internal::LeaveOp(*op);
  if (!(internal::Watching() & internal::kCheckingNan) || std::uncaught_exceptions() > 0) return;
  int64_t wrong = 0, size = 0;
  for (const std::weak_ptr<Storage>& made : op->made) {
    const std::shared_ptr<Storage> storage = made.lock();  // what is gone was scratch
    if (!storage || storage->dtype() != DType::kFloat32) continue;
    wrong += storage->context().kernels().CountNan(static_cast<const float*>(storage->data()), storage->size());
    size += storage->size();
  }
  if (wrong == 0) return;
  for (const Tensor& input : op->inputs) {
    if (input.kernels().CountNan(input.data(), input.size()) > 0) return;  // it is not the first
  }
  throw std::runtime_error(
      Concat("[", op->cost.op, "] gave NaN, ", wrong, " of ", size, " numbers, although it read none"));
}

}  // namespace attnkit
