/* SPDX-License-Identifier: Apache-2.0
 *
 * encode.h - from responses to the JSON of Qdrant's REST API. */
#ifndef OCTANT_API_ENCODE_H
#define OCTANT_API_ENCODE_H

#include "api/message.h"
#include "base/json.h"

/* Write the value of `result`. Fails only through the writer (NOMEM, LIMIT). */
void oct_encode_result(oct_json_writer *writer, const oct_request *request,
                       const oct_response *response);

/* The envelopes: {"result":..,"status":"ok","time":..} and {"status":{"error":..},"time":..}. */
void oct_encode_success(oct_json_writer *writer, const oct_request *request,
                        const oct_response *response, double seconds);
void oct_encode_error(oct_json_writer *writer, oct_str message, double seconds);

/* The answer of GET /, which has no envelope. */
void oct_encode_version(oct_json_writer *writer);

/* The text of an operation that answers text/plain (the health checks), else NULL. */
const char *oct_encode_plain(oct_op op);

#endif
