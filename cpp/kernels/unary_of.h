// What an activation is among the elementary functions, for the kernels of every device.
#pragma once

#include "attnkit/kernels/elementwise.h"

namespace attnkit::kernels {

inline Unary ToUnary(Activation activation) {
  switch (activation) {
    case Activation::kGelu: return Unary::kGelu;
    case Activation::kSilu: return Unary::kSilu;
    case Activation::kTanh: return Unary::kTanh;
    case Activation::kSigmoid: return Unary::kSigmoid;
    case Activation::kGeluTanh: return Unary::kGeluTanh;
    case Activation::kQuickGelu: return Unary::kQuickGelu;
    default: return Unary::kRelu;
  }
}

// Does its derivative follow from the input? That of the others follows from the output.
inline bool ReadsInput(Unary op) {
  return op == Unary::kLog || op == Unary::kGelu || op == Unary::kSilu || op == Unary::kGeluTanh ||
         op == Unary::kQuickGelu;
}

}  // namespace attnkit::kernels
