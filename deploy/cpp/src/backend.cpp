#include "backend.h"

#include <filesystem>
#include <stdexcept>

namespace msseg {
namespace {

std::string NameBySuffix(const std::string &model) {
  const std::string suffix = std::filesystem::path(model).extension().string();
  if (suffix == ".onnx") return "opencv";
  if (suffix == ".mindir" || suffix == ".ms") return "lite";
  throw std::runtime_error("model '" + model +
                           "': expected a file ending in .onnx, .mindir or .ms, as "
                           "tools/export.py writes them");
}

[[noreturn, maybe_unused]] void Missing(const std::string &what, const std::string &option) {
  throw std::runtime_error("this program was built without " + what + ": build it again with " +
                           option);
}

}  // namespace

std::unique_ptr<Backend> LoadBackend(const std::string &name, const std::string &model,
                                     const Device &device, [[maybe_unused]] int channels) {
  if (!std::filesystem::is_regular_file(model)) {
    throw std::runtime_error("model '" + model + "': there is no such file");
  }
  const std::string runtime = name.empty() ? NameBySuffix(model) : name;
  if (runtime == "opencv") {
#ifdef WITH_OPENCV_DNN
    return LoadWithOpenCv(model, device);
#else
    Missing("OpenCV's dnn", "-DWITH_OPENCV_DNN=ON");
#endif
  }
  if (runtime == "lite") {
#ifdef WITH_MINDSPORE_LITE
    return LoadWithLite(model, device, channels);
#else
    Missing("MindSpore Lite", "-DMINDSPORE_LITE_ROOT=FOLDER");
#endif
  }
  throw std::runtime_error("--backend is '" + runtime + "', expected opencv or lite");
}

}  // namespace msseg
