#include "metadata.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "inputs.h"

namespace msseg {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr int kLatestVersion = 3;
constexpr size_t kMostChannels = 512;  // of a cv::Mat
constexpr size_t kMostClasses = 65536;  // what a PNG of 16 bits holds
constexpr double kLargestNumber = 1e6;
constexpr double kSmallestStd = 1e-6;
constexpr double kSmallestRatio = 1e-3;
constexpr double kLargestRatio = 1e3;

// Reads protobuf's encoding as far as needed to find the texts that an ONNX file carries, without
// the classes of ONNX: numbered fields, each a number or bytes with their length before them.
class Protobuf {
 public:
  Protobuf(const unsigned char *begin, const unsigned char *end) : at_(begin), end_(end) {}

  // Goes to the next field. False at the end.
  bool Next() {
    if (at_ == end_) return false;
    const uint64_t key = Varint();
    number_ = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0: Varint(); length_ = 0; break;
      case 1: length_ = 8; break;
      case 2: length_ = Varint(); break;
      case 5: length_ = 4; break;
      default: Fail();
    }
    if (length_ > static_cast<uint64_t>(end_ - at_)) Fail();
    value_ = at_;
    at_ += length_;
    return true;
  }

  int number() const { return number_; }
  Protobuf message() const { return {value_, value_ + length_}; }
  std::string text() const { return {value_, value_ + length_}; }

 private:
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) Fail();
      const unsigned char byte = *at_++;
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    Fail();
  }

  [[noreturn]] static void Fail() {
    throw std::runtime_error("is no ONNX model, or was cut short; copy or export it again");
  }

  const unsigned char *at_;
  const unsigned char *end_;
  const unsigned char *value_ = nullptr;
  uint64_t length_ = 0;
  int number_ = 0;
};

// Fields of ONNX's ModelProto and StringStringEntryProto.
constexpr int kMetadataProps = 14;
constexpr int kKey = 1;
constexpr int kValue = 2;

json FromOnnx(const std::string &model) {
  const std::vector<unsigned char> bytes = ReadBytes(model);
  json content = json::object();
  for (Protobuf file(bytes.data(), bytes.data() + bytes.size()); file.Next();) {
    if (file.number() != kMetadataProps) continue;
    std::string key;
    std::string value;
    for (Protobuf entry = file.message(); entry.Next();) {
      if (entry.number() == kKey) key = entry.text();
      if (entry.number() == kValue) value = entry.text();
    }
    // other programs' entries need not be JSON
    if (json parsed = json::parse(value, nullptr, /*allow_exceptions=*/false);
        !parsed.is_discarded()) {
      content[key] = std::move(parsed);
    }
  }
  return content;
}

json FromSidecar(const std::string &model) {
  const std::string beside = model + ".json";
  if (!fs::exists(beside)) {
    throw std::runtime_error("its metadata '" + beside +
                             "' are not beside it; keep the two files that tools/export.py writes "
                             "together, or say with --metadata where they are");
  }
  json content = json::parse(ReadBytes(beside));
  const json length = content.value("file_bytes", json());
  if (length.is_number() && length.get<uintmax_t>() != fs::file_size(model)) {
    throw std::runtime_error("has " + std::to_string(fs::file_size(model)) + " bytes, but '" +
                             beside + "' says " + length.dump() +
                             ": it was cut short or belongs to another export");
  }
  return content;
}

[[noreturn]] void Refuse(const std::string &key, const json &value, const std::string &expected) {
  throw std::runtime_error("its metadata say that '" + key + "' is " + value.dump() +
                           ", expected " + expected + "; export the model again");
}

// Returns a length in pixels.
int SideOf(const json &value, const std::string &key) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() < 1 ||
      value.get<uint64_t>() > static_cast<uint64_t>(kLongestSide)) {
    Refuse(key, value, "a whole number from 1 to " + std::to_string(kLongestSide));
  }
  return value.get<int>();
}

int FixedOr0(const json &number) {
  return number.is_null() ? 0 : SideOf(number, "input.shape");
}

double NumberOf(const json &value, const std::string &key, double lowest, double highest) {
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!(lowest <= number && number <= highest)) {
    Refuse(key, value, "a number from " + json(lowest).dump() + " to " + json(highest).dump());
  }
  return number;
}

std::vector<float> ChannelsOf(const json &values, const std::string &key, double lowest,
                              size_t count) {
  if (!values.is_array() || values.size() != count || count < 1 || count > kMostChannels) {
    Refuse(key, values, "a number for each channel of an image");
  }
  std::vector<float> numbers;
  for (const json &value : values) {
    numbers.push_back(static_cast<float>(NumberOf(value, key, lowest, kLargestNumber)));
  }
  return numbers;
}

// Returns what older files, which do not say it, have by default.
Loading LoadingOf(const json &steps, size_t channels) {
  Loading loading;
  loading.color_type = steps.value("color_type", "color");
  constexpr double kAny = std::numeric_limits<double>::max();
  const json max_value = steps.value("max_value", json());
  if (!max_value.is_null()) loading.max_value = NumberOf(max_value, "max_value", 1e-30, kAny);
  const json percentiles = steps.value("percentiles", json());
  if (!percentiles.is_null()) {
    loading.percentiles = {NumberOf(percentiles.at(0), "percentiles", 0, 100),
                           NumberOf(percentiles.at(1), "percentiles", 0, 100)};
  }
  const json bands = steps.value("bands", json());
  if (!bands.is_null()) {
    for (const json &band : bands) {
      const double number = NumberOf(band, "bands", 1, static_cast<double>(kMostChannels));
      loading.bands.push_back(static_cast<int>(number));
    }
    if (loading.bands.size() != channels) Refuse("bands", bands, "as many as channels");
  }
  const json nodata = steps.value("nodata", json("file"));
  loading.reads_tag = nodata == "file";
  if (nodata.is_number()) loading.nodata = NumberOf(nodata, "nodata", -kAny, kAny);
  loading.takes_any = steps.value("nodata_rule", "any") == "any";
  json fill = steps.value("fill", json(0.0));
  if (fill.is_number()) fill = json::array({fill});
  loading.fill.clear();
  for (const json &value : fill) loading.fill.push_back(NumberOf(value, "fill", -kAny, kAny));
  if (loading.fill.size() != 1 && loading.fill.size() != channels) {
    Refuse("fill", fill, "a number, or one for each channel");
  }
  return loading;
}

std::vector<uint8_t> PaletteOf(const json &palette, int num_classes) {
  std::vector<uint8_t> bytes;
  for (const json &colour : palette) {
    for (const json &part : colour) {
      if (!part.is_number_unsigned() || part.get<uint64_t>() > 255) {
        Refuse("palette", colour, "three whole numbers from 0 to 255");
      }
      bytes.push_back(part.get<uint8_t>());
    }
  }
  const size_t wanted = 3 * static_cast<size_t>(num_classes);
  if (!bytes.empty() && bytes.size() < wanted) {
    Refuse("palette", palette, "three numbers for each of " + std::to_string(num_classes) +
                                   " classes");
  }
  if (!bytes.empty()) bytes.resize(wanted);
  return bytes;
}

Metadata FromContent(const json &content) {
  if (!content.is_object() || !content.contains("format_version")) {
    throw std::runtime_error(
        "does not say what its input and output mean; tools/export.py makes files that do");
  }
  const json &version = content.at("format_version");
  if (!version.is_number_integer() || version < kFormatVersion || version > kLatestVersion) {
    throw std::runtime_error("its metadata are of version " + version.dump() +
                             ", this program reads versions " + std::to_string(kFormatVersion) +
                             " to " + std::to_string(kLatestVersion) + "; export the model again");
  }
  Metadata metadata;
  const json &input = content.at("input");
  const std::string layout = input.at("layout");
  metadata.is_nhwc = layout == "NHWC";
  metadata.batch = FixedOr0(input.at("shape").at(layout.find('N')));
  metadata.height = FixedOr0(input.at("shape").at(layout.find('H')));
  metadata.width = FixedOr0(input.at("shape").at(layout.find('W')));

  const json &steps = content.at("preprocessing");
  metadata.normalizes_itself = steps.at("included");
  metadata.to_rgb = steps.at("to_rgb");
  const size_t channels = SideOf(input.at("shape").at(layout.find('C')), "input.shape");
  metadata.mean = ChannelsOf(steps.at("mean"), "mean", -kLargestNumber, channels);
  metadata.std = ChannelsOf(steps.at("std"), "std", kSmallestStd, channels);
  if (metadata.to_rgb && channels != 3) Refuse("to_rgb", true, "false but for three channels");
  metadata.loading = LoadingOf(steps, channels);
  if (const json &scale = steps.at("scale"); !scale.is_null()) {
    metadata.scale = {SideOf(scale.at(0), "scale"), SideOf(scale.at(1), "scale")};
  }
  metadata.ratio = NumberOf(steps.at("ratio"), "ratio", kSmallestRatio, kLargestRatio);
  metadata.keep_ratio = steps.at("keep_ratio");

  metadata.gives_labels = content.at("output").at("meaning") == "labels";
  metadata.align_corners = content.at("align_corners");
  if (const json &threshold = content.at("threshold"); !threshold.is_null()) {
    metadata.threshold = static_cast<float>(NumberOf(threshold, "threshold", 0, 1));
  }
  const json &classes = content.at("classes");
  if (!classes.is_array() || classes.empty() || classes.size() > kMostClasses) {
    throw std::runtime_error("its metadata name " + std::to_string(classes.size()) +
                             " classes, expected 1 to " + std::to_string(kMostClasses) +
                             "; export the model again");
  }
  metadata.num_classes = static_cast<int>(classes.size());
  metadata.palette = PaletteOf(content.at("palette"), metadata.num_classes);
  return metadata;
}

}  // namespace

Metadata ReadMetadata(const std::string &model, const std::string &file) {
  const std::string &source = file.empty() ? model : file;
  for (const std::string &name : {model, source}) {
    if (!fs::is_regular_file(name)) {
      throw std::runtime_error("'" + name + "': there is no such file");
    }
  }
  try {
    const std::string suffix = fs::path(source).extension().string();
    const Metadata metadata = FromContent(suffix == ".onnx"  ? FromOnnx(source)
                                          : suffix == ".json" ? json::parse(ReadBytes(source))
                                                              : FromSidecar(source));
    if (metadata.batch > 1) {
      throw std::runtime_error("takes " + std::to_string(metadata.batch) +
                               " images at a time, this program gives it one; export it with "
                               "--batch 1");
    }
    return metadata;
  } catch (const json::exception &error) {
    throw std::runtime_error("'" + source + "': its metadata are not whole (" + error.what() +
                             "); export the model again");
  } catch (const std::runtime_error &error) {
    throw std::runtime_error("'" + source + "': " + error.what());
  }
}

}  // namespace msseg
