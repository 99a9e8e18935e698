#include "metadata.h"

#include <filesystem>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "inputs.h"

namespace msseg {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr int kOtherImagesVersion = 2;

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

int FixedOr0(const json &number) { return number.is_null() ? 0 : number.get<int>(); }

Metadata FromContent(const json &content) {
  if (!content.is_object() || !content.contains("format_version")) {
    throw std::runtime_error(
        "does not say what its input and output mean; tools/export.py makes files that do");
  }
  if (content.at("format_version") == kOtherImagesVersion) {
    throw std::runtime_error(
        "takes images of other channels than three, or of more than 8 bits, which this program "
        "does not load: use Predictor of msseg.deploy in Python");
  }
  if (content.at("format_version") != kFormatVersion) {
    throw std::runtime_error("its metadata are of version " + content.at("format_version").dump() +
                             ", this program reads version " + std::to_string(kFormatVersion) +
                             "; export the model again");
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
  metadata.mean = steps.at("mean");
  metadata.std = steps.at("std");
  if (const json &scale = steps.at("scale"); !scale.is_null()) {
    metadata.scale = {scale.at(0).get<int>(), scale.at(1).get<int>()};
  }
  metadata.ratio = steps.at("ratio");
  metadata.keep_ratio = steps.at("keep_ratio");

  metadata.gives_labels = content.at("output").at("meaning") == "labels";
  metadata.align_corners = content.at("align_corners");
  if (const json &threshold = content.at("threshold"); !threshold.is_null()) {
    metadata.threshold = threshold;
  }
  metadata.num_classes = static_cast<int>(content.at("classes").size());
  for (const json &colour : content.at("palette")) {
    for (const json &part : colour) metadata.palette.push_back(part);
  }
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
