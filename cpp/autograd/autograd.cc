#include "attnkit/autograd.h"

#include <atomic>
#include <queue>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "attnkit/check.h"
#include "attnkit/kernels.h"
#include "attnkit/op_scope.h"
#include "attnkit/profile.h"

namespace attnkit {
namespace {

std::atomic<uint64_t> next_sequence{0};
thread_local bool grad_enabled = true;

struct Latest {
  bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const {
    return a->sequence() < b->sequence();
  }
};

// How often the nodes below a root read each leaf: so many gradients may reach it.
std::unordered_map<const void*, int> CountReaders(const Tensor& root) {
  std::unordered_map<const void*, int> readers;
  std::unordered_set<const Node*> seen;
  std::vector<std::shared_ptr<Node>> open;
  const auto look_at = [&](const Tensor& tensor) {
    if (!tensor || !tensor.requires_grad()) return;
    if (tensor.is_leaf()) {
      ++readers[tensor.id()];
    } else if (seen.insert(tensor.node().get()).second) {
      open.push_back(tensor.node());
    }
  };
  look_at(root);
  while (!open.empty()) {
    const std::shared_ptr<Node> node = std::move(open.back());
    open.pop_back();
    for (const Tensor& input : node->inputs()) look_at(input);
  }
  return readers;
}

// The gradients that have reached a node so far. `owned` says that nobody else holds the tensor, so that it may be
// added to.
struct Pending {
  std::vector<Tensor> gradients;
  std::vector<bool> owned;
};

void AddTo(Tensor& sum, bool& owned, Tensor gradient) {
  if (!sum) {
    sum = std::move(gradient);
    owned = false;
    return;
  }
  Tensor target = owned ? sum : sum.New(sum.shape());
  sum.kernels().Add(sum.data(), gradient.data(), sum.size(), target.data());
  sum = std::move(target);
  owned = true;
}

class Engine {
 public:
  // Backward functions may themselves call Backward, so the engine of a thread is a stack.
  explicit Engine(const OnReady& on_ready) : on_ready_(on_ready), outer_(std::exchange(current, this)) {}
  ~Engine() { current = outer_; }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  static Engine* Current() { return current; }

  void Run(const Tensor& root, Tensor gradient) {
    if (on_ready_) readers_ = CountReaders(root);
    Deliver(root, std::move(gradient));
    while (!queue_.empty()) {
      const std::shared_ptr<Node> node = queue_.top();
      queue_.pop();
      Visit(*node);
    }
  }

  // The gradient that has reached a tensor so far, zeros at first, to be added to.
  Tensor InPlace(const Tensor& target) {
    Pending& pending = PendingOf(target.node());
    Tensor& gradient = pending.gradients[target.output_index()];
    if (!gradient) {
      gradient = target.NewZeros(target.shape());
    } else if (!pending.owned[target.output_index()] && !gradient.IsSoleOwner()) {
      gradient = gradient.Clone();
    }
    pending.owned[target.output_index()] = true;
    return gradient;
  }

 private:
  void Visit(Node& node) {
    Pending pending = std::move(pending_[&node]);
    pending_.erase(&node);
    std::vector<Tensor> gradients = node.Run(pending.gradients);
    pending.gradients.clear();
    const std::vector<Tensor> inputs = node.inputs();
    node.Release();
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (i < gradients.size() && gradients[i] && inputs[i].requires_grad())
        Deliver(inputs[i], std::move(gradients[i]));
    }
    if (!on_ready_) return;
    for (const Tensor& input : inputs) CountRead(input);
  }

  void CountRead(const Tensor& input) {
    if (!input || !input.requires_grad() || !input.is_leaf()) return;
    if (--readers_.at(input.id()) == 0) on_ready_(input);
  }

  void Deliver(const Tensor& target, Tensor gradient) {
    ATTNKIT_CHECK(gradient.shape() == target.shape(), "[backward] expected a gradient of shape ",
                  ToString(target.shape()), ", got ", ToString(gradient.shape()));
    ATTNKIT_CHECK(&gradient.context() == &target.context(), "[backward] expected a gradient on ",
                  target.context().device(), ", got one on ", gradient.context().device());
    if (target.is_leaf()) {
      Accumulate(target, std::move(gradient));
      return;
    }
    Pending& pending = PendingOf(target.node());
    bool owned = pending.owned[target.output_index()];
    AddTo(pending.gradients[target.output_index()], owned, std::move(gradient));
    pending.owned[target.output_index()] = owned;
  }

  Pending& PendingOf(const std::shared_ptr<Node>& node) {
    if (node->released()) {
      throw std::runtime_error(
          "[backward] the values saved for this graph were freed by an earlier backward(); run the forward pass again");
    }
    const auto [entry, inserted] = pending_.try_emplace(node.get());
    Pending& pending = entry->second;
    if (inserted) {
      pending.gradients.resize(node->output_shapes().size());
      pending.owned.resize(node->output_shapes().size());
      queue_.push(node);
    }
    return pending;
  }

  static void Accumulate(Tensor leaf, Tensor gradient) {
    Tensor grad = leaf.grad();
    if (!grad) {
      leaf.set_grad(gradient.IsSoleOwner() ? std::move(gradient) : gradient.Clone());
      return;
    }
    Tensor sum = grad.New(grad.shape());  // the old one may be held by the user
    grad.kernels().Add(grad.data(), gradient.data(), grad.size(), sum.data());
    leaf.set_grad(std::move(sum));
  }

  static thread_local Engine* current;

  const OnReady& on_ready_;
  std::unordered_map<const void*, int> readers_;
  Engine* outer_;
  std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, Latest> queue_;
  std::unordered_map<Node*, Pending> pending_;
};

thread_local Engine* Engine::current = nullptr;

}  // namespace

Node::Node(const char* name, std::vector<Tensor> inputs, std::vector<Shape> output_shapes, BackwardFunction backward)
    : name_(name),
      sequence_(next_sequence.fetch_add(1)),
      inputs_(std::move(inputs)),
      output_shapes_(std::move(output_shapes)),
      backward_(std::move(backward)) {}

// A long graph that is dropped without backward would recurse once a node, through Tensor and Node; take it apart in a
// loop.
Node::~Node() {
  std::vector<Tensor> chain = std::move(inputs_);
  backward_ = nullptr;  // it may hold the same inputs, which then are not the last
  while (!chain.empty()) {
    Tensor tensor = std::move(chain.back());
    chain.pop_back();
    if (!tensor || tensor.impl_.use_count() > 1 || !tensor.impl_->node || tensor.impl_->node.use_count() > 1) continue;
    Node& node = *tensor.impl_->node;
    for (Tensor& input : node.inputs_) chain.push_back(std::move(input));
    node.Release();
  }
}

std::vector<Tensor> Node::Run(std::vector<Tensor>& output_gradients) {
  NoGrad no_grad;
  if (!internal::Watching()) return backward_(output_gradients);
  const OpScope scope(name_, output_gradients, inputs_);
  return backward_(output_gradients);
}

void Node::Release() {
  backward_ = nullptr;
  inputs_.clear();
}

bool GradEnabled() { return grad_enabled; }
void SetGradEnabled(bool enabled) { grad_enabled = enabled; }

bool NeedsGrad(const std::vector<Tensor>& inputs) {
  if (!grad_enabled) return false;
  for (const Tensor& input : inputs) {
    if (input && input.requires_grad()) return true;
  }
  return false;
}

Tensor Kept(const Tensor& x) {
  x.storage().Keep();
  return x.Detach();
}

// Leaves are held by whoever made them.
Tensor KeptAs(kernels::Precision precision, const Tensor& x) {
  const bool stays = x.is_leaf() || x.storage().kept() || x.dtype() != DType::kFloat32;
  return precision == kernels::Precision::kBFloat16 && !stays ? x.Rounded() : Kept(x);
}

void Record(const char* name, std::vector<Tensor> inputs, std::vector<Tensor*> outputs, BackwardFunction backward) {
  std::vector<Shape> shapes;
  for (const Tensor* output : outputs) shapes.push_back(output->shape());
  // Of all but leaves that want a gradient, only the place in the graph is kept: `backward` holds the numbers that it
  // needs, and the others are free as soon as nobody else holds them. Who looks for NaN wants to see them.
  const bool wanted = internal::Watching() & internal::kCheckingNan;
  for (Tensor& input : inputs) {
    if (wanted || !input || (input.is_leaf() && input.requires_grad())) continue;
    Tensor place;
    place.impl_ = std::make_shared<Tensor::Impl>();
    place.impl_->storage = std::make_shared<Storage>(input.context(), input.dtype(), 0);
    place.impl_->shape = input.shape();
    place.impl_->size = input.size();
    place.impl_->node = input.node();
    place.impl_->output_index = input.output_index();
    input = std::move(place);
  }
  const auto node = std::make_shared<Node>(name, std::move(inputs), std::move(shapes), std::move(backward));
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i]->impl_->node = node;
    outputs[i]->impl_->output_index = static_cast<int>(i);
  }
}

void Backward(const Tensor& root, Tensor gradient, const OnReady& on_ready) {
  ATTNKIT_CHECK(root.requires_grad(), "[backward] expected a tensor computed from one with requires_grad=True");
  if (!gradient) {
    ATTNKIT_CHECK(root.size() == 1, "[backward] expected a scalar, or a gradient of shape ", ToString(root.shape()));
    gradient = root.NewFull(root.shape(), 1.0f);
  }
  Engine(on_ready).Run(root, std::move(gradient));
}

Tensor LeafGradient(const Tensor& leaf) {
  Tensor target = leaf, grad = leaf.grad();
  target.set_grad(Tensor());
  if (!grad) grad = target.NewZeros(target.shape());
  if (!grad.IsSoleOwner()) grad = grad.Clone();  // the old one may be held by the user
  target.set_grad(grad);
  return grad;
}

Tensor GradientInPlace(const Tensor& input) {
  return input.is_leaf() ? LeafGradient(input) : Engine::Current()->InPlace(input);
}

}  // namespace attnkit
