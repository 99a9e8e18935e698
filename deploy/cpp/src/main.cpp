// msseg_infer: labels images, or runs prepared inputs, with an exported model.
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <opencv2/core/utils/logger.hpp>

#include "backend.h"
#include "image.h"
#include "inputs.h"
#include "label_file.h"
#include "metadata.h"
#include "options.h"
#include "outputs.h"

namespace msseg {
namespace {

namespace fs = std::filesystem;

// Mean time of the network's runs. The first is left out where there are more: runtimes plan and
// allocate in it.
class Stopwatch {
 public:
  cv::Mat Time(Backend *backend, const cv::Mat &input) {
    const auto start = std::chrono::steady_clock::now();
    cv::Mat output = backend->Run(input);
    const std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - start;
    if (count_++ == 0) first_ms_ = elapsed.count();
    total_ms_ += elapsed.count();
    return output;
  }

  std::string Report() const {
    const bool has_more = count_ > 1;
    const double mean_ms = has_more ? (total_ms_ - first_ms_) / (count_ - 1) : first_ms_;
    char text[128];
    std::snprintf(text, sizeof text, "mean latency %.2f ms of %d runs, the first took %.2f ms",
                  mean_ms, has_more ? count_ - 1 : count_, first_ms_);
    return text;
  }

 private:
  int count_ = 0;
  double first_ms_ = 0;
  double total_ms_ = 0;
};

void MakeFolder(const fs::path &folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || access(folder.c_str(), W_OK) != 0) {
    throw std::runtime_error("--out is '" + folder.string() + "', which cannot be written to");
  }
}

// Writes outputs as they are, and at the end the list of them that postprocess.py reads.
class BinaryFiles {
 public:
  explicit BinaryFiles(const fs::path &folder) : folder_(folder) {
    // no list of an earlier run beside files of this one
    fs::remove(folder_ / "outputs.json");
  }

  void Write(const fs::path &path, const cv::Mat &output) {
    WriteBytes(path, output.data, output.total() * output.elemSize());
    const std::vector<int> shape(output.size.p, output.size.p + output.dims);
    list_.push_back({{"file", path.lexically_relative(folder_).string()},
                     {"shape", shape},
                     {"dtype", output.depth() == CV_32S ? "int32" : "float32"}});
  }

  void Finish() const {
    const std::string text = nlohmann::json{{"outputs", list_}}.dump(1) + "\n";
    WriteBytes(folder_ / "outputs.json", text.data(), text.size());
  }

 private:
  fs::path folder_;
  nlohmann::json list_ = nlohmann::json::array();
};

std::string OneLine(const std::string &text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

int Skip(const std::exception &error) {
  std::cerr << "skipped: " << OneLine(error.what()) << std::endl;
  return 1;
}

// Returns where each result goes. Throws where prepared inputs are mixed with images.
std::vector<fs::path> Plan(const Options &options, const std::vector<Input> &inputs,
                           bool is_binary) {
  std::vector<fs::path> sources = {options.model, options.model + ".json"};
  if (!options.metadata.empty()) sources.push_back(options.metadata);
  for (const std::string &argument : options.inputs) {
    sources.push_back(fs::path(argument) / "inputs.json");
  }
  std::vector<fs::path> paths =
      PlanResults(options.out, inputs, is_binary ? ".bin" : ".png", sources);
  for (const Input &input : inputs) {
    if (input.is_prepared() == inputs.front().is_prepared()) continue;
    throw std::runtime_error("'" + inputs.front().path.string() + "' and '" + input.path.string() +
                             "' are an image and a prepared input: run them one after the other");
  }
  if (is_binary) PlanResults(options.out, {{"", "outputs", {}}}, ".json", sources);
  return paths;
}

int Run(const Options &options) {
  const Metadata metadata = ReadMetadata(options.model, options.metadata);
  const std::vector<Input> inputs = FindInputs(options.inputs);
  const bool is_binary = options.format == Format::kBinary || inputs.front().is_prepared();
  const fs::path out = options.out;
  const std::vector<fs::path> paths = Plan(options, inputs, is_binary);
  MakeFolder(out);
  const auto backend = LoadBackend(options.backend, options.model, options.device,
                                   static_cast<int>(metadata.mean.size()));
  std::optional<BinaryFiles> binary;
  if (is_binary) binary.emplace(out);
  Stopwatch stopwatch;
  int num_skipped = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Input &input = inputs[i];
    try {
      const Prepared prepared = input.is_prepared() ? ReadPrepared(input, metadata)
                                                    : PrepareImage(input.path, metadata);
      cv::Mat output = stopwatch.Time(backend.get(), prepared.input);
      // OpenCV's dnn computes in float throughout
      if (metadata.gives_labels) output.convertTo(output, CV_32S);
      MakeFolder(paths[i].parent_path());
      if (is_binary) {
        binary->Write(paths[i], output);
      } else {
        WriteLabels(paths[i], LabelsOf(output, prepared.size, metadata), prepared.no_data,
                    metadata.num_classes,
                    options.format == Format::kPalette ? metadata.palette
                                                       : std::vector<uint8_t>());
      }
    } catch (const UnusableInput &error) {
      num_skipped += Skip(error);
    } catch (const NameTooLong &error) {
      num_skipped += Skip(error);
    }
  }
  if (is_binary && inputs.size() > static_cast<size_t>(num_skipped)) binary->Finish();
  const size_t num_done = inputs.size() - num_skipped;
  std::cout << "ran " << num_done << " of " << inputs.size() << " inputs, results in "
            << options.out << "\n";
  if (num_done > 0) std::cout << stopwatch.Report() << std::endl;
  if (num_skipped == 0) return 0;
  throw std::runtime_error(std::to_string(num_skipped) + " of " + std::to_string(inputs.size()) +
                           " inputs could not be used and were skipped");
}

}  // namespace
}  // namespace msseg

int main(int argc, char **argv) {
#ifdef WITH_MINDSPORE_LITE
  // Lite writes many lines of its own unless this says otherwise, and reads it before main starts.
  if (getenv("GLOG_v") == nullptr && setenv("GLOG_v", "4", /*replace=*/0) == 0) {
    execv("/proc/self/exe", argv);
  }
#endif
  // OpenCV prints what it throws, too; errors are said once, below.
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  cv::redirectError([](int, const char *, const char *, const char *, int, void *) { return 0; });
  try {
    const msseg::Options options = msseg::ParseOptions(argc, argv);
    if (options.help) {
      std::cout << msseg::kUsage;
      return 0;
    }
    return msseg::Run(options);
  } catch (const std::exception &error) {
    std::cerr << "error: " << msseg::OneLine(error.what()) << std::endl;
    return 1;
  }
}
