// SPDX-License-Identifier: Apache-2.0

// Applications give tokens and policies to the access of MartletHTTP, and claims are its JSON values.
@_exported public import MartletHTTP
