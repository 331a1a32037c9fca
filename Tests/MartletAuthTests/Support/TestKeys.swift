// SPDX-License-Identifier: Apache-2.0

import Crypto
import JWTKit

@testable import MartletAuth

/// Keys for tests, of every kind. Those in PEM were made for this file and are used nowhere else.
enum TestKeys {
    static let secret = "the secret that these tests share, 64 bytes of it at the very least"

    static let es256 = ES256PrivateKey()
    static let es384 = ES384PrivateKey()
    static let es512 = ES512PrivateKey()
    static let eddsa = EdDSA.PrivateKey(backing: Curve25519.Signing.PrivateKey())

    /// The text of the private key for an algorithm.
    static func privateText(_ algorithm: TokenAlgorithm) -> String {
        switch algorithm {
        case .hs256, .hs384, .hs512: secret
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: rsaPrivate
        case .es256: es256.pemRepresentation
        case .es384: es384.pemRepresentation
        case .es512: es512.pemRepresentation
        case .eddsa: eddsa.pemRepresentation
        }
    }

    /// The text of the public key for an algorithm; of the secret where there is no public one.
    static func publicText(_ algorithm: TokenAlgorithm) -> String {
        switch algorithm {
        case .hs256, .hs384, .hs512: secret
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: rsaPublic
        case .es256: es256.publicKey.pemRepresentation
        case .es384: es384.publicKey.pemRepresentation
        case .es512: es512.publicKey.pemRepresentation
        case .eddsa: eddsa.publicKey.pemRepresentation
        }
    }

    /// The modulus of the RSA key, as in a JSON Web Key.
    static let rsaModulus =
        "qNu8hE13D-TqJjMQa_NiV3fFTaBhPVHokxrSeP5vnoCi3aYG_DCsm-FmkkGMkCU7BqCFhrIGrVUX8g-wniFFabUbKXD19IlWtRua"
        + "tVRqYvrbJf6tVmwUDRdkUbPpY6wuPXiBVehQhgB6dJlDv695_ybLB7k-QKh4VTwmT_sa8h5FqQMYAS9DPhKxCmXVoJOIPxKmzlSc"
        + "AbOXoWa8WO3dbSPm-vNk0zNbX_jfNmvzYMUkxf0QwM3P-uREVvuxV1funPT7uZ-onQNPr_ngn4TOD2dT0IWvZwnmaL6H6c5KvsqX"
        + "p0kjPmJoGmUexmliSaLl19jiNYHhiLEkS8u6ymcwRQ"

    static let rsaPrivate = """
        -----BEGIN PRIVATE KEY-----
        MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQCo27yETXcP5Oom
        MxBr82JXd8VNoGE9UeiTGtJ4/m+egKLdpgb8MKyb4WaSQYyQJTsGoIWGsgatVRfy
        D7CeIUVptRspcPX0iVa1G5q1VGpi+tsl/q1WbBQNF2RRs+ljrC49eIFV6FCGAHp0
        mUO/r3n/JssHuT5AqHhVPCZP+xryHkWpAxgBL0M+ErEKZdWgk4g/EqbOVJwBs5eh
        ZrxY7d1tI+b682TTM1tf+N82a/NgxSTF/RDAzc/65ERW+7FXV+6c9Pu5n6idA0+v
        +eCfhM4PZ1PQha9nCeZovofpzkq+ypenSSM+YmgaZR7GaWJJouXX2OI1geGIsSRL
        y7rKZzBFAgMBAAECggEARyqdMFGJvZwoB0N8R1MDfoPPFyFh+jscP2uNi0sI9g+X
        FL2VshI9nVEJLtkLifD3CJr8y8EaSVFUz0NHl83D+IJI2VVvg8miTqA8uvHCCMdb
        N483tPXGGaJjOIAP/F8j+epg8DkCPwfSlHPH9vDZBO1vomizUQLv/FRmfU0ClUn2
        lVqNKXhis5o7Zsdq2G5vI0f9XCwzj7vgO8bLwfkZ3Dm/5HO8w0lHzdg9LABxGdOo
        rKsgy3PUroQf/NxiUEwyExwO59k2Fs1IgRG82bQclduyN2ojoaGSpRuzkd94LXCQ
        CxN0lcNWkJcVatMdFKiTCbIfgKNjUGHr73K2HsFDvQKBgQDoKhVBE1WAyVEIBIdQ
        VK2BD04TuHLPes4lCCaHK2ZR2na6VRveuZnU9FbVl4NnM+UOjj/LEI3W/OnoxZao
        j4MUoQdOt3hC0a/LgYPV8AodAlDCNFAZPrFU1iRUAIG81D1knL6x5Uxe9gWabM5d
        OWfZzvDgaXH6PCvkSrycUZ6lHwKBgQC6McwDxNxvwUt4gNMFrrlUvLgaTKJN4Eab
        jvszQI8B+1s7cCwrWDAuPZZsmqOnvvuzow8WrJoFtHtnrCh5Ogfl3P1UcPlYDvjg
        8dp28ctcPLJlbVhvWnLVHSHwrtWMfV+OyEIr74LvcRS2Xzeb16abywUw618aBsiX
        Mmzj+aV6GwKBgQDZ8A9NrGmaYOFJRn8DoMnTGlvv1TkpnZ2AU9tfDhWaBxtnJVfp
        R4+pwcj17qoyqht/A3fNFvgfdgHaOgmIqFejeNpUQZSKHS8KOcVZgmDsBG1tMRBz
        8k8jVXZ6yJMBgLc1CJNWieqcRhTSdwttpeLgKwwhjbqp7exB/Qp7L39efwKBgQCU
        Jl9AeHk1asXUQhymHtpUND0AoA1cjaFg0SnLJAkl+IwlBSH/8xGTGWoBTCH/rRS1
        YH72+asr8ulmGjOyEZyLJ4VilOmxSWh6A7Zigg3ffGQuFA0TvRI1xBJnYZWFTZSl
        FW6hatfyETX7zlN+6t4khCvDOuTW3qLouzStSMyEFQKBgQCqEh0bBp3G6EBGMWjR
        qbOwA7JwoTB+R/unRR5TmcYb/MqKDsP/U9eq83cstGzMtQXaaphF9Oi8JAWwqtio
        tapuRxa/AXuVz1bdMhLkxjUNMDvl22DjZtQzik4psa1fxcNSSexJjCNQsYUtJNhC
        yD0STf+dzjjuTpGBFrSAj9hSvA==
        -----END PRIVATE KEY-----
        """

    static let rsaPrivatePKCS1 = """
        -----BEGIN RSA PRIVATE KEY-----
        MIIEpQIBAAKCAQEAqNu8hE13D+TqJjMQa/NiV3fFTaBhPVHokxrSeP5vnoCi3aYG
        /DCsm+FmkkGMkCU7BqCFhrIGrVUX8g+wniFFabUbKXD19IlWtRuatVRqYvrbJf6t
        VmwUDRdkUbPpY6wuPXiBVehQhgB6dJlDv695/ybLB7k+QKh4VTwmT/sa8h5FqQMY
        AS9DPhKxCmXVoJOIPxKmzlScAbOXoWa8WO3dbSPm+vNk0zNbX/jfNmvzYMUkxf0Q
        wM3P+uREVvuxV1funPT7uZ+onQNPr/ngn4TOD2dT0IWvZwnmaL6H6c5KvsqXp0kj
        PmJoGmUexmliSaLl19jiNYHhiLEkS8u6ymcwRQIDAQABAoIBAEcqnTBRib2cKAdD
        fEdTA36DzxchYfo7HD9rjYtLCPYPlxS9lbISPZ1RCS7ZC4nw9wia/MvBGklRVM9D
        R5fNw/iCSNlVb4PJok6gPLrxwgjHWzePN7T1xhmiYziAD/xfI/nqYPA5Aj8H0pRz
        x/bw2QTtb6Jos1EC7/xUZn1NApVJ9pVajSl4YrOaO2bHathubyNH/VwsM4+74DvG
        y8H5Gdw5v+RzvMNJR83YPSwAcRnTqKyrIMtz1K6EH/zcYlBMMhMcDufZNhbNSIER
        vNm0HJXbsjdqI6GhkqUbs5HfeC1wkAsTdJXDVpCXFWrTHRSokwmyH4CjY1Bh6+9y
        th7BQ70CgYEA6CoVQRNVgMlRCASHUFStgQ9OE7hyz3rOJQgmhytmUdp2ulUb3rmZ
        1PRW1ZeDZzPlDo4/yxCN1vzp6MWWqI+DFKEHTrd4QtGvy4GD1fAKHQJQwjRQGT6x
        VNYkVACBvNQ9ZJy+seVMXvYFmmzOXTln2c7w4Glx+jwr5Eq8nFGepR8CgYEAujHM
        A8Tcb8FLeIDTBa65VLy4GkyiTeBGm477M0CPAftbO3AsK1gwLj2WbJqjp777s6MP
        FqyaBbR7Z6woeToH5dz9VHD5WA744PHadvHLXDyyZW1Yb1py1R0h8K7VjH1fjshC
        K++C73EUtl83m9emm8sFMOtfGgbIlzJs4/mlehsCgYEA2fAPTaxpmmDhSUZ/A6DJ
        0xpb79U5KZ2dgFPbXw4VmgcbZyVX6UePqcHI9e6qMqobfwN3zRb4H3YB2joJiKhX
        o3jaVEGUih0vCjnFWYJg7ARtbTEQc/JPI1V2esiTAYC3NQiTVonqnEYU0ncLbaXi
        4CsMIY26qe3sQf0Key9/Xn8CgYEAlCZfQHh5NWrF1EIcph7aVDQ9AKANXI2hYNEp
        yyQJJfiMJQUh//MRkxlqAUwh/60UtWB+9vmrK/LpZhozshGciyeFYpTpsUloegO2
        YoIN33xkLhQNE70SNcQSZ2GVhU2UpRVuoWrX8hE1+85TfureJIQrwzrk1t6i6Ls0
        rUjMhBUCgYEAqhIdGwadxuhARjFo0amzsAOycKEwfkf7p0UeU5nGG/zKig7D/1PX
        qvN3LLRszLUF2mqYRfTovCQFsKrYqLWqbkcWvwF7lc9W3TIS5MY1DTA75dtg42bU
        M4pOKbGtX8XDUknsSYwjULGFLSTYQsg9Ek3/nc447k6RgRa0gI/YUrw=
        -----END RSA PRIVATE KEY-----
        """

    static let rsaPublic = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqNu8hE13D+TqJjMQa/Ni
        V3fFTaBhPVHokxrSeP5vnoCi3aYG/DCsm+FmkkGMkCU7BqCFhrIGrVUX8g+wniFF
        abUbKXD19IlWtRuatVRqYvrbJf6tVmwUDRdkUbPpY6wuPXiBVehQhgB6dJlDv695
        /ybLB7k+QKh4VTwmT/sa8h5FqQMYAS9DPhKxCmXVoJOIPxKmzlScAbOXoWa8WO3d
        bSPm+vNk0zNbX/jfNmvzYMUkxf0QwM3P+uREVvuxV1funPT7uZ+onQNPr/ngn4TO
        D2dT0IWvZwnmaL6H6c5KvsqXp0kjPmJoGmUexmliSaLl19jiNYHhiLEkS8u6ymcw
        RQIDAQAB
        -----END PUBLIC KEY-----
        """

    static let rsaPublicPKCS1 = """
        -----BEGIN RSA PUBLIC KEY-----
        MIIBCgKCAQEAqNu8hE13D+TqJjMQa/NiV3fFTaBhPVHokxrSeP5vnoCi3aYG/DCs
        m+FmkkGMkCU7BqCFhrIGrVUX8g+wniFFabUbKXD19IlWtRuatVRqYvrbJf6tVmwU
        DRdkUbPpY6wuPXiBVehQhgB6dJlDv695/ybLB7k+QKh4VTwmT/sa8h5FqQMYAS9D
        PhKxCmXVoJOIPxKmzlScAbOXoWa8WO3dbSPm+vNk0zNbX/jfNmvzYMUkxf0QwM3P
        +uREVvuxV1funPT7uZ+onQNPr/ngn4TOD2dT0IWvZwnmaL6H6c5KvsqXp0kjPmJo
        GmUexmliSaLl19jiNYHhiLEkS8u6ymcwRQIDAQAB
        -----END RSA PUBLIC KEY-----
        """

    static let rsaCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIDATCCAemgAwIBAgIUfd58WgHYueZbxqlf/phL2Vcu6NUwDQYJKoZIhvcNAQEL
        BQAwDzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQxNTM2NTBaGA8yMTI2MTAzMTE1
        MzY1MFowDzENMAsGA1UEAwwEdGVzdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCC
        AQoCggEBAKjbvIRNdw/k6iYzEGvzYld3xU2gYT1R6JMa0nj+b56Aot2mBvwwrJvh
        ZpJBjJAlOwaghYayBq1VF/IPsJ4hRWm1Gylw9fSJVrUbmrVUamL62yX+rVZsFA0X
        ZFGz6WOsLj14gVXoUIYAenSZQ7+vef8mywe5PkCoeFU8Jk/7GvIeRakDGAEvQz4S
        sQpl1aCTiD8Sps5UnAGzl6FmvFjt3W0j5vrzZNMzW1/43zZr82DFJMX9EMDNz/rk
        RFb7sVdX7pz0+7mfqJ0DT6/54J+Ezg9nU9CFr2cJ5mi+h+nOSr7Kl6dJIz5iaBpl
        HsZpYkmi5dfY4jWB4YixJEvLuspnMEUCAwEAAaNTMFEwHQYDVR0OBBYEFJgS7hNd
        ata4Hw6JsWy58vYeXiF1MB8GA1UdIwQYMBaAFJgS7hNdata4Hw6JsWy58vYeXiF1
        MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAJkEhIGT6lG+nZRW
        7s1BpgqZUXy88JZSmbmWyUEXjzzA99Z8eyO/+vToO5L3q9zdXo32TPhhH9u8L6AA
        FdGJdYYTt5vduppqIH9qIjr1XRVauBHxLQnjkKYDWVE7Gw0mVkCjqkDsfcFKLcHl
        Ux00oLLNZCe08x378+rBXR+k2SFvspKuL1yNSxpraCXi1FQlZL13WEx2XoPA1QSR
        T6RqeMF63jc5CW2mITHHARFWjwljUaqJjmT6+yxc5ueojXht022NW2mvVCw5Tp5w
        GbHUSRV084LQOSZ05mhYMb/f3eEDSQ+gOsmlixJUXZhJhyssPa+1v0l3m6cADPAE
        RjuZbHc=
        -----END CERTIFICATE-----
        """

    static let rsaPublic1024 = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDBmLO9AgGm8z9znFrd7Ed6Sw/i
        SCI8qYJ802HlZoS1VcqMLah4RWDZAlSGZZTJTQ+chKUMg0Ry9KnEZJaTXO+aNYd/
        Rdkbdm1Rqm0YUdMWqG36N02CdlzGcwGGnDjXndHI81f4zeWQPTGBBSLZGNy68xvQ
        x9/njoT47EnVRev7YwIDAQAB
        -----END PUBLIC KEY-----
        """

    /// As `openssl ecparam -genkey` writes it: another block comes first.
    static let ecPrivateWithParameters = """
        -----BEGIN EC PARAMETERS-----
        BggqhkjOPQMBBw==
        -----END EC PARAMETERS-----
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIClg8xU6UR2hDpcNTb39M/K8Z1sPym6H+7pkRhgsiIcuoAoGCCqGSM49
        AwEHoUQDQgAE/5K4mds3ZhZuA/ZB2bTXi2Ca/rqKn6VH00Y6w6/Lr9AhtdHHm7J/
        89S88HO89sFYRFaFZyyHjfE7r+ZSZ3uTSg==
        -----END EC PRIVATE KEY-----
        """

    static let ecPublic = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/5K4mds3ZhZuA/ZB2bTXi2Ca/rqK
        n6VH00Y6w6/Lr9AhtdHHm7J/89S88HO89sFYRFaFZyyHjfE7r+ZSZ3uTSg==
        -----END PUBLIC KEY-----
        """

    static let ecCertificate = """
        -----BEGIN CERTIFICATE-----
        MIIBdTCCARugAwIBAgIUWKzsDyfLB+eHb6Iv/V96D7LhQT0wCgYIKoZIzj0EAwIw
        DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQxNTM2NTBaGA8yMTI2MTAzMTE1MzY1
        MFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABP+S
        uJnbN2YWbgP2Qdm014tgmv66ip+lR9NGOsOvy6/QIbXRx5uyf/PUvPBzvPbBWERW
        hWcsh43xO6/mUmd7k0qjUzBRMB0GA1UdDgQWBBRJ2YFJ1cKdfh2TeO6avxklCdFu
        ijAfBgNVHSMEGDAWgBRJ2YFJ1cKdfh2TeO6avxklCdFuijAPBgNVHRMBAf8EBTAD
        AQH/MAoGCCqGSM49BAMCA0gAMEUCIDslLFsBi0PAfNgRb6Zq6cZGT4GJwlN8jP81
        BsUvwlubAiEA9NJimpnmMi0RX3uuoDDgI/Xuhler2RqRbbNk12ZFUYo=
        -----END CERTIFICATE-----
        """
}
