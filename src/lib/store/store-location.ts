/** Where a store is and how to get in. Settings produce it; `openStore` consumes it. */
export type StoreLocation = DirectoryLocation | S3Location

export interface DirectoryLocation {
  readonly kind: 'directory'
  /** Absolute. */
  readonly path: string
}

export interface S3Location {
  readonly kind: 's3'
  readonly bucket: string
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string
  readonly region: string
  /** Absent: AWS itself. */
  readonly endpoint?: string
  /** Absent: the AWS files and whatever else the SDK's own chain finds. */
  readonly credentials?: S3Credentials
  /** Where the credentials are from, for messages. */
  readonly credentialsFrom?: string
  /** Section of the AWS files to take credentials from. */
  readonly awsProfile?: string
}

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}
