// SPDX-License-Identifier: Apache-2.0

// Whoever writes routes for a hub needs the hub, and what streams are made of.
@_exported public import EventStream
@_exported public import Martlet
