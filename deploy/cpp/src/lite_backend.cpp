// MindSpore Lite: reads .mindir and .ms, runs on CPU, GPU or Ascend.
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <vector>

#include <opencv2/core.hpp>

#include "include/api/context.h"
#include "include/api/data_type.h"
#include "include/api/model.h"
#include "include/api/status.h"
#include "include/api/types.h"

#include "backend.h"
#include "image.h"

namespace msseg {
namespace {

namespace lite = mindspore;

std::shared_ptr<lite::Context> ContextFor(const Device &device) {
  auto context = std::make_shared<lite::Context>();
  if (device.num_threads > 0) context->SetThreadNum(device.num_threads);
  auto &devices = context->MutableDeviceInfo();
  if (device.type == "GPU") {
    auto gpu = std::make_shared<lite::GPUDeviceInfo>();
    gpu->SetDeviceID(device.id);
    devices.push_back(gpu);
  } else if (device.type == "Ascend") {
    auto ascend = std::make_shared<lite::AscendDeviceInfo>();
    ascend->SetDeviceID(device.id);
    devices.push_back(ascend);
  }
  // The CPU comes last: it takes what the card before it cannot run.
  if (device.type != "Ascend") devices.push_back(std::make_shared<lite::CPUDeviceInfo>());
  return context;
}

cv::Mat Copied(const lite::MSTensor &tensor) {
  const std::vector<int64_t> sizes = tensor.Shape();
  const std::vector<int> shape(sizes.begin(), sizes.end());
  const std::shared_ptr<const void> held = tensor.Data();
  void *data = const_cast<void *>(held.get());
  if (data == nullptr) throw std::runtime_error("MindSpore Lite gave an output without data");
  switch (tensor.DataType()) {
    case lite::DataType::kNumberTypeFloat32:
      return cv::Mat(shape, CV_32F, data).clone();
    case lite::DataType::kNumberTypeInt32:
      return cv::Mat(shape, CV_32S, data).clone();
    case lite::DataType::kNumberTypeUInt8: {
      cv::Mat labels;
      cv::Mat(shape, CV_8U, data).convertTo(labels, CV_32S);
      return labels;
    }
    case lite::DataType::kNumberTypeInt64: {
      cv::Mat labels(shape, CV_32S);
      const auto *values = static_cast<const int64_t *>(data);
      for (size_t i = 0; i < labels.total(); ++i) labels.ptr<int>()[i] = static_cast<int>(values[i]);
      return labels;
    }
    default:
      throw std::runtime_error("the model's output is of MindSpore's data type " +
                               std::to_string(static_cast<int>(tensor.DataType())) +
                               ", expected float32, int32, int64 or uint8");
  }
}

std::vector<int64_t> ShapeOf(const cv::Mat &array) {
  return {array.size.p, array.size.p + array.dims};
}

bool IsChannelsLast(const std::vector<int64_t> &shape, int channels) {
  return shape.size() == 4 && shape[3] == channels && shape[1] != channels;
}

// Returns (1, c, h, w) as (1, h, w, c).
cv::Mat ChannelsLast(const cv::Mat &input) {
  const int channels = input.size[1];
  const int rows = input.size[2];
  const int columns = input.size[3];
  std::vector<cv::Mat> planes;
  for (int c = 0; c < channels; ++c) {
    planes.emplace_back(rows, columns, input.type(), const_cast<uchar *>(input.ptr(0, c)));
  }
  cv::Mat merged;
  cv::merge(planes, merged);
  return merged.reshape(1, {1, rows, columns, channels});
}

// Returns (1, h, w, c) as (1, c, h, w).
cv::Mat ChannelsFirst(const cv::Mat &input) {
  const int channels = input.size[3];
  const int rows = input.size[1];
  const int columns = input.size[2];
  const cv::Mat image(rows, columns, CV_MAKETYPE(input.depth(), channels), input.data);
  cv::Mat planes({1, channels, rows, columns}, input.type());
  for (int c = 0; c < channels; ++c) {
    cv::Mat plane(rows, columns, input.type(), planes.ptr(0, c));
    cv::extractChannel(image, plane, c);
  }
  return planes;
}

class LiteBackend : public Backend {
 public:
  LiteBackend(const std::string &model, const Device &device, int channels)
      : channels_(channels) {
    const bool is_ms = std::filesystem::path(model).extension() == ".ms";
    const auto type = is_ms ? lite::ModelType::kMindIR_Lite : lite::ModelType::kMindIR;
    Check(model_.Build(model, type, ContextFor(device)),
          "model '" + model + "': MindSpore Lite cannot load it for " + device.type);
    if (model_.GetInputs().size() != 1 || model_.GetOutputs().size() != 1) {
      throw std::runtime_error("model '" + model + "' has " +
                               std::to_string(model_.GetInputs().size()) + " inputs and " +
                               std::to_string(model_.GetOutputs().size()) +
                               " outputs, expected one of each");
    }
  }

  cv::Mat Run(const cv::Mat &input) override {
    std::vector<lite::MSTensor> inputs = model_.GetInputs();
    // .ms files take (n, h, w, c), unless they were converted with another format; and Lite's
    // converter takes a first transposition to (n, c, h, w) out of a model
    const bool wants_last = IsChannelsLast(inputs[0].Shape(), channels_);
    const bool is_last = IsChannelsLast(ShapeOf(input), channels_);
    cv::Mat ordered = input;
    if (wants_last && !is_last) ordered = ChannelsLast(input);
    if (is_last && !wants_last) ordered = ChannelsFirst(input);
    const std::vector<int64_t> shape = ShapeOf(ordered);
    if (inputs[0].Shape() != shape) {
      Check(model_.Resize(inputs, {shape}), "the model takes no input of this size");
      inputs = model_.GetInputs();
    }
    const size_t num_bytes = ordered.total() * ordered.elemSize();
    if (inputs[0].DataSize() != num_bytes) {
      throw std::runtime_error("the model takes an input of " +
                               std::to_string(inputs[0].DataSize()) + " bytes, got " +
                               std::to_string(num_bytes));
    }
    std::memcpy(inputs[0].MutableData(), ordered.data, num_bytes);
    std::vector<lite::MSTensor> outputs;
    Check(model_.Predict(inputs, &outputs), "MindSpore Lite could not run the model");
    return Copied(outputs.at(0));
  }

 private:
  static void Check(const lite::Status &status, const std::string &what) {
    if (status.IsError()) {
      throw std::runtime_error(what + " (" + status.GetErrDescription() +
                               "; GLOG_v=2 in the environment shows what it says)");
    }
  }

  const int channels_;
  lite::Model model_;
};

}  // namespace

std::unique_ptr<Backend> LoadWithLite(const std::string &model, const Device &device, int channels) {
  return std::make_unique<LiteBackend>(model, device, channels);
}

}  // namespace msseg
