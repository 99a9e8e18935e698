// What runs a network. One implementation for each runtime; the rest of the program knows no other.
#pragma once

#include <memory>
#include <string>

#include <opencv2/core.hpp>

namespace msseg {

// Where a network runs.
struct Device {
  std::string type = "CPU";  // CPU, GPU or Ascend
  int id = 0;
  int num_threads = 0;  // on the CPU; 0 leaves it to the runtime
};

// A loaded network with one input and one output.
class Backend {
 public:
  virtual ~Backend() = default;

  // Runs the network. `input` is dense, of any number of dimensions. The output is CV_32F or, for
  // labels where the runtime has integers, CV_32S; it stays valid until the next call.
  virtual cv::Mat Run(const cv::Mat &input) = 0;
};

// Loads a model with OpenCV's dnn (.onnx). Throws std::runtime_error.
std::unique_ptr<Backend> LoadWithOpenCv(const std::string &model, const Device &device);

// Loads a model with MindSpore Lite (.mindir, .ms). `channels` of an image tell whether a shape has
// them first or last. Throws std::runtime_error.
std::unique_ptr<Backend> LoadWithLite(const std::string &model, const Device &device, int channels);

// Loads a model with the runtime of this name, `opencv` or `lite`; an empty name goes by the
// file's suffix. Throws std::runtime_error, also where this program was built without it.
std::unique_ptr<Backend> LoadBackend(const std::string &name, const std::string &model,
                                     const Device &device, int channels);

}  // namespace msseg
