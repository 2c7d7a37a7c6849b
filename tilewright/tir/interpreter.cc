// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/interpreter.h"

#include <new>
#include <stdexcept>

#include "tilewright/tir/interpret/code.h"

namespace tilewright {

namespace {

using namespace interpret;

void CheckArguments(const PrimFunc& f, std::span<NDArray> buffers, std::span<const int64_t> dims) {
  if (buffers.size() != f->buffers.size() || dims.size() != f->dims.size()) {
    throw Problem{"TW1602", fmt::format("{} buffers and {} dimensions expected, {} and {} given",
                                        f->buffers.size(), f->dims.size(), buffers.size(), dims.size())};
  }
  for (size_t i = 0; i < dims.size(); ++i) {
    const Var& v = f->dims[i];
    if (dims[i] < v->min || dims[i] > v->max || dims[i] % v->multiple != 0) {
      throw Problem{"TW1602",
                    fmt::format("dimension {} is {}; declared are values in [{}, {}] divisible by {}",
                                v.name(), dims[i], v->min, v->max, v->multiple)};
    }
  }
  for (size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& b = f->buffers[i];
    if (!buffers[i] || buffers[i].dtype() != b.dtype().element()) {
      throw Problem{"TW1602", fmt::format("the array for {} holds {}, expected {}", b.name(),
                                          buffers[i] ? buffers[i].dtype().ToString() : "nothing",
                                          b.dtype().element().ToString())};
    }
  }
}

/// `body` becomes the code of the function: it outlives the run, since the frame points to where it stopped.
void Run(const PrimFunc& f, std::span<NDArray> buffers, std::span<const int64_t> dims, Frame& frame,
         ActionPtr& body) {
  CheckArguments(f, buffers, dims);
  Compiler compiler;
  std::vector<int> dim_slots;
  for (const Var& v : f->dims) dim_slots.push_back(compiler.DeclareVar(v));
  std::vector<BufferCode> params;
  for (const Buffer& b : f->buffers) params.emplace_back(compiler, b);
  body = compiler.Compile(f->body);
  frame.slots.resize(size_t(compiler.num_slots()));
  frame.buffers.resize(size_t(compiler.num_buffers()));
  for (size_t i = 0; i < dims.size(); ++i) frame.slots[size_t(dim_slots[i])] = Lane::Int(dims[i]);
  const size_t first_output = buffers.size() - size_t(f->num_outputs);
  for (size_t i = 0; i < params.size(); ++i) {
    const bool output = i >= first_output;
    char* data =
        static_cast<char*>(output ? buffers[i].mutable_data() : const_cast<void*>(buffers[i].data()));
    params[i].Bind(frame, data, buffers[i].size(), !output || !frame.options.outputs_start_undefined);
  }
  body->Run(frame);
}

/// The first line of a statement, with the values of the variables around it.
Diagnostic Describe(const PrimFunc& f, const Problem& problem, const Frame& frame) {
  Diagnostic d{problem.id, problem.message, "function @" + f.name(), {}};
  if (!frame.place) return d;
  const std::string text = ToString(frame.place->stmt);
  d.notes.push_back("in the statement: " + text.substr(0, text.find('\n')));
  std::string values;
  for (const auto& [name, slot] : frame.place->vars) {
    values += fmt::format("{}{} = {}", values.empty() ? "" : ", ", name, frame.slots[size_t(slot)].i);
  }
  if (!values.empty()) d.notes.push_back("where " + values);
  return d;
}

}  // namespace

void Interpret(const PrimFunc& f, std::span<NDArray> buffers, std::span<const int64_t> dims,
               const InterpretOptions& options) {
  Frame frame;
  ActionPtr body;
  frame.options = options;
  frame.random.seed(options.seed);
  try {
    Run(f, buffers, dims, frame, body);
  } catch (const Problem& problem) {
    throw Error(Describe(f, problem, frame));
  } catch (const std::bad_alloc&) {
    throw Error(Describe(f, {"TW1602", "no memory for a buffer"}, frame));
  } catch (const std::length_error&) {
    throw Error(Describe(f, {"TW1602", "no memory for a buffer"}, frame));
  }
}

}  // namespace tilewright
