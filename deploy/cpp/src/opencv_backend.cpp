// OpenCV's dnn: reads ONNX, runs on any CPU, needs nothing but the distribution's packages.
#include <stdexcept>

#include <opencv2/dnn.hpp>

#include "backend.h"

namespace msseg {
namespace {

class OpenCvBackend : public Backend {
 public:
  OpenCvBackend(const std::string &model, const Device &device) {
    if (device.type != "CPU") {
      throw std::runtime_error("--device is '" + device.type +
                               "', but OpenCV's dnn runs on the CPU here: use --backend lite with "
                               "a .mindir or .ms file");
    }
    if (device.num_threads > 0) cv::setNumThreads(device.num_threads);
    try {
      net_ = cv::dnn::readNetFromONNX(model);
    } catch (const cv::Exception &error) {
      throw std::runtime_error("model '" + model + "': OpenCV " CV_VERSION
                               " cannot read it (" + error.err +
                               "); of what tools/export.py writes it takes all but --dynamic and "
                               "--include-preprocessing");
    }
    net_.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    net_.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
    // OpenCV 4.6 fuses a scaling into the product of two computed matrices before it, and then
    // leaves it out: an OCR head's attention comes out too sharp.
    if (HasProductOfComputed()) net_.enableFusion(false);
  }

  cv::Mat Run(const cv::Mat &input) override {
    net_.setInput(input);
    cv::Mat output = net_.forward();
    return output;
  }

 private:
  bool HasProductOfComputed() const {
    for (const cv::String &name : net_.getLayerNames()) {
      const cv::Ptr<cv::dnn::Layer> layer = net_.getLayer(net_.getLayerId(name));
      if (layer->type == "InnerProduct" && layer->blobs.empty()) return true;
    }
    return false;
  }

  mutable cv::dnn::Net net_;  // its getters are not const in every version
};

}  // namespace

std::unique_ptr<Backend> LoadWithOpenCv(const std::string &model, const Device &device) {
  return std::make_unique<OpenCvBackend>(model, device);
}

}  // namespace msseg
