// SPDX-License-Identifier: Apache-2.0

// Routes for a hub need the hub, its events and its values.
@_exported public import EventStream
@_exported public import Martlet
@_exported public import MartletValues
